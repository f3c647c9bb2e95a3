// libFuzzer's entry to the shim around FFmpeg: every input is a video file. Both ways of reading are tried, with the samples
// and pictures that the product asks for, only smaller.
#include "cudatrainer_video.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum
{
    samples = 4,
    side = 24,
    most_walked = 12,
    limit_ms = 3000
};

static uint8_t s_glimpse[64 * 64];
static volatile unsigned s_sum; // keeps the reads of pictures that somebody could take for useless

static void require(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "the shim broke its contract: %s\n", what);
    abort();
}

static int64_t index_of(int64_t total, int32_t frames, int32_t i)
{
    require(total >= 1 && total <= INT32_MAX && i >= 0 && i < frames, "index_of");
    return total * i / frames;
}

static int32_t wants(void *state, ctv_glimpse *glimpse)
{
    int *count = state;
    require(glimpse->width > 0 && glimpse->height > 0 && glimpse->seconds >= 0 && glimpse->step >= 0, "a glimpse");
    if (++*count % 2 == 0)
        return 0;
    glimpse->columns = glimpse->width < 64 ? glimpse->width : 64;
    glimpse->rows = glimpse->height < 64 ? glimpse->height : 64;
    glimpse->pixels = s_glimpse;
    return 1;
}

static int32_t take(void *state)
{
    (void)state;
    s_sum += s_glimpse[0];
    return 0;
}

static int32_t on_frame(void *state, const ctv_frame *frame)
{
    int *count = state;
    require(frame->width > 0 && frame->height > 0 && frame->index == *count && frame->seconds >= 0, "a frame");
    size_t bytes = (size_t)frame->width * (size_t)frame->height * 3;
    s_sum += (unsigned)(frame->rgb[0] + frame->rgb[bytes - 1] + frame->rgb[bytes / 2]);
    return ++*count >= most_walked;
}

static void check(int32_t fault, const char *message, const ctv_info *info)
{
    require(fault >= CTV_OK && fault <= CTV_INTERNAL, "an unknown fault");
    require(fault != CTV_INTERNAL && fault != CTV_INVALID_ARGUMENT && fault != CTV_NOT_FOUND, message);
    require(fault == CTV_OK || message[0], "a fault without a message");
    require(memchr(info->codec, 0, sizeof info->codec) && memchr(info->container, 0, sizeof info->container), "a name does not end");
    require(fault != CTV_OK || info->decoded_frames > 0, "a video without frames");
    require(info->duration >= 0 && info->frame_rate >= 0, "a negative duration or rate");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    static char path[64];
    if (file < 0)
    {
        file = memfd_create("input", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
        abort();

    char message[512];
    int seen = 0;
    const ctv_watcher watcher = {&seen, wants, take};
    ctv_read_options read = {.index_of = index_of, .keep_bytes = size % 3 * 20000, .frames = samples, .width = side, .height = side,
                             .limit_ms = limit_ms, .tolerate_damage = (int32_t)(size % 2), .watcher = size % 5 == 0 ? NULL : &watcher};
    int64_t bytes = (int64_t)samples * side * side * 3;
    uint8_t *rgb = malloc((size_t)bytes);
    ctv_info info = {0};
    check(ctv_read(path, &read, rgb, bytes, &info, message, sizeof message), message, &info);
    free(rgb);

    int walked = 0;
    seen = 0;
    ctv_walk_options walk = {.watcher = &watcher, .width = size % 2 ? side : 0, .height = size % 2 ? side : 0, .limit_ms = limit_ms};
    memset(&info, 0, sizeof info);
    int32_t fault = ctv_walk(path, &walk, on_frame, &walked, &info, message, sizeof message);
    if (fault != CTV_CANCELLED)
        check(fault, message, &info);
    return 0;
}
