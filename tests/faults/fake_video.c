// Stands in for libcudatrainer_video where a test needs many clips, not decoding: a "video" is any file, and its frames are drawn from its
// first bytes. Only reading is there.
#include "../../native/video/cudatrainer_video.h"

#include <stdio.h>
#include <string.h>

enum
{
    frames = 4,
    width = 32,
    height = 24
};

int32_t ctv_abi(void)
{
    return CTV_ABI;
}

void ctv_version(char *text, int32_t bytes)
{
    snprintf(text, (size_t)bytes, "a stand-in that decodes nothing");
}

int32_t ctv_read(const char *path, const ctv_read_options *options, uint8_t *rgb, int64_t rgb_bytes, ctv_info *info, char *message,
                 int32_t message_bytes)
{
    unsigned char start[16] = {0};
    FILE *file = fopen(path, "rb");
    if (!file)
    {
        snprintf(message, (size_t)message_bytes, "it cannot be opened");
        return CTV_NOT_FOUND;
    }
    size_t read = fread(start, 1, sizeof start, file);
    fclose(file);
    unsigned seed = 1;
    for (size_t i = 0; i < read; i++)
        seed = seed * 31 + start[i];

    memset(info, 0, sizeof *info);
    info->decoded_frames = frames;
    info->frame_rate = 25;
    info->duration = frames / 25.0;
    info->width = width;
    info->height = height;
    info->passes = 1;
    snprintf(info->codec, sizeof info->codec, "fake");
    snprintf(info->container, sizeof info->container, "fake");
    if (rgb)
        memset(rgb, (int)(seed % 256), (size_t)rgb_bytes);
    for (int frame = 0; options->watcher && frame < frames; frame++)
    {
        ctv_glimpse glimpse = {.seconds = frame / 15.0, .step = frame > 0 ? 1 / 15.0 : 0, .width = width, .height = height};
        int32_t answer = options->watcher->wants(options->watcher->state, &glimpse);
        if (answer > 0)
        {
            for (int i = 0; i < glimpse.columns * glimpse.rows; i++)
                glimpse.pixels[i] = (uint8_t)((seed >> (i % 24)) + (unsigned)((i + frame * (int)(seed % 5)) * 7));
            answer = options->watcher->take(options->watcher->state);
        }
        if (answer < 0)
            return CTV_CANCELLED;
    }
    return CTV_OK;
}

// Declared otherwise in the header; nobody calls them here.
#define ABSENT(name)                                       \
    __asm__(".globl " #name "\n.set " #name ", ctv_absent");
CTV_API int32_t ctv_absent(void)
{
    return CTV_UNSUPPORTED_CODEC;
}
ABSENT(ctv_walk)
ABSENT(ctv_resize)
ABSENT(ctv_can_encode)
ABSENT(ctv_writer_open)
ABSENT(ctv_writer_add)
ABSENT(ctv_writer_finish)
ABSENT(ctv_writer_free)
