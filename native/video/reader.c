// n samples out of a video whose length is known only after decoding it.
//
// The first pass decodes everything once and counts. It keeps references to decoded frames while they fit in keep_bytes; when
// they no longer do, it keeps only the frames that would be sampled if the container's frame count were true. If at the end
// every sample is among the kept frames (short videos always, long ones when the container is honest), one pass was enough.
// Otherwise a second pass decodes again up to the last sample. Both give the same bits: decoding from the start is
// deterministic, seeking is not.
#include "internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct kept_frame
{
    int64_t index;
    AVFrame *frame;
};

struct reader
{
    const ctv_read_options *options;
    struct ctv_error error;
    struct ctv_clock clock;
    struct ctv_source source;
    struct ctv_stream stream;
    struct ctv_converter converter;
    struct ctv_grey grey;
    ctv_info *info;
    uint8_t *rgb; // NULL when only the watcher is to see the video

    struct kept_frame *kept; // ascending index
    size_t kept_count, kept_capacity;
    int64_t kept_bytes;
    int64_t expected_total; // as the container says, 0 when it does not; only ever a guess
    bool keeping_all, keeping;

    int64_t *samples; // frame index of each sample, once the total is known
    int64_t missing;  // second pass: distinct frames still to come
};

static int64_t frame_bytes(const AVFrame *frame)
{
    int64_t bytes = sizeof *frame;
    for (int i = 0; i < AV_NUM_DATA_POINTERS && frame->buf[i]; i++)
        bytes += (int64_t)frame->buf[i]->size;
    return bytes;
}

static void drop_kept(struct reader *reader)
{
    for (size_t i = 0; i < reader->kept_count; i++)
        av_frame_free(&reader->kept[i].frame);
    reader->kept_count = 0;
    reader->kept_bytes = 0;
}

static bool is_expected_sample(const struct reader *reader, int64_t index)
{
    const ctv_read_options *options = reader->options;
    for (int32_t i = 0; i < options->frames; i++)
        if (options->index_of(reader->expected_total, options->frames, i) == index)
            return true;
    return false;
}

// Over budget: from now on only what the container's count makes likely.
static void keep_less(struct reader *reader)
{
    reader->keeping_all = false;
    size_t count = 0;
    for (size_t i = 0; i < reader->kept_count; i++)
    {
        struct kept_frame kept = reader->kept[i];
        if (reader->expected_total > 0 && is_expected_sample(reader, kept.index))
        {
            reader->kept[count++] = kept;
            continue;
        }
        reader->kept_bytes -= frame_bytes(kept.frame);
        av_frame_free(&kept.frame);
    }
    reader->kept_count = count;
}

static int32_t keep_frame(void *state, const AVFrame *frame, int64_t index)
{
    struct reader *reader = state;
    if (index == 0)
        ctv_displayed_size(reader->stream.format, reader->stream.video, frame, &reader->info->width, &reader->info->height);
    if (reader->options->watcher)
    {
        int32_t fault = ctv_grey_show(&reader->grey, reader->options->watcher, &reader->stream, frame, &reader->error);
        if (fault != CTV_OK)
            return fault;
    }
    if (!reader->keeping)
        return CTV_OK;
    int64_t bytes = frame_bytes(frame);
    if (reader->keeping_all && reader->kept_bytes + bytes > reader->options->keep_bytes)
        keep_less(reader);
    if (!reader->keeping_all && (reader->expected_total == 0 || !is_expected_sample(reader, index)))
        return CTV_OK;
    if (reader->kept_bytes + bytes > reader->options->keep_bytes)
    {
        reader->keeping = false;
        drop_kept(reader);
        return CTV_OK;
    }
    if (reader->kept_count == reader->kept_capacity)
    {
        size_t capacity = FFMAX(64, reader->kept_capacity * 2);
        struct kept_frame *grown = av_realloc_array(reader->kept, capacity, sizeof *grown);
        if (!grown)
            return ctv_fail(&reader->error, CTV_OUT_OF_MEMORY, "no memory to keep %zu frames", capacity);
        reader->kept = grown;
        reader->kept_capacity = capacity;
    }
    AVFrame *reference = av_frame_clone(frame);
    if (!reference)
        return ctv_fail(&reader->error, CTV_OUT_OF_MEMORY, "no memory to keep a frame");
    reader->kept[reader->kept_count++] = (struct kept_frame){index, reference};
    reader->kept_bytes += bytes;
    return CTV_OK;
}

// Converts a frame and writes it to every sample it serves.
static int32_t deliver(struct reader *reader, const AVFrame *frame, int64_t index)
{
    const ctv_read_options *options = reader->options;
    size_t picture_bytes = (size_t)options->width * options->height * 3;
    const uint8_t *done = NULL;
    for (int32_t i = 0; i < options->frames; i++)
    {
        if (reader->samples[i] != index)
            continue;
        uint8_t *target = reader->rgb + (size_t)i * picture_bytes;
        if (done)
        {
            memcpy(target, done, picture_bytes);
            continue;
        }
        int64_t began = ctv_now_ns();
        struct ctv_picture picture;
        int32_t fault = ctv_convert(&reader->converter, frame, &picture, &reader->error);
        if (fault != CTV_OK)
            return fault;
        ctv_orient(&picture, ctv_orientation_of(reader->stream.video, frame));
        fault = ctv_resize_picture(&picture, target, options->width, options->height);
        if (fault != CTV_OK)
            return ctv_fail(&reader->error, fault, "no memory to resize a %dx%d picture", picture.width, picture.height);
        reader->info->resize_seconds += (double)(ctv_now_ns() - began) * 1e-9;
        done = target;
    }
    if (!done)
        return CTV_OK;
    reader->missing--;
    return ctv_clock_check(&reader->clock) == CTV_OK ? CTV_OK
                                                     : ctv_clock_fail(&reader->clock, &reader->error, "converting frames");
}

static int32_t deliver_in_second_pass(void *state, const AVFrame *frame, int64_t index)
{
    struct reader *reader = state;
    int32_t fault = deliver(reader, frame, index);
    return fault == CTV_OK && reader->missing == 0 ? CTV_ENOUGH : fault;
}

// For indices and, since an index comes first in it, for kept_frame.
static int compare_indices(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

// Fills samples[] and counts the distinct frames among them.
static int32_t choose_samples(struct reader *reader, int64_t total)
{
    int32_t count = reader->options->frames;
    int64_t *sorted = av_malloc_array((size_t)count, sizeof *sorted);
    reader->samples = av_malloc_array((size_t)count, sizeof *reader->samples);
    if (!sorted || !reader->samples)
    {
        av_free(sorted);
        return ctv_fail(&reader->error, CTV_OUT_OF_MEMORY, "no memory for %d sample indices", count);
    }
    bool valid = true;
    for (int32_t i = 0; i < count; i++)
    {
        reader->samples[i] = sorted[i] = reader->options->index_of(total, count, i);
        valid &= sorted[i] >= 0 && sorted[i] < total;
    }
    qsort(sorted, (size_t)count, sizeof *sorted, compare_indices);
    reader->missing = 1;
    for (int32_t i = 1; i < count; i++)
        reader->missing += sorted[i] != sorted[i - 1];
    av_free(sorted);
    return valid ? CTV_OK
                 : ctv_fail(&reader->error, CTV_INVALID_ARGUMENT, "a sample lies outside the %" PRId64 " frames", total);
}

static bool kept_has(const struct reader *reader, int64_t index)
{
    // With nothing kept there is no array either, which bsearch does not take.
    return reader->kept_count > 0 && bsearch(&index, reader->kept, reader->kept_count, sizeof *reader->kept, compare_indices) != NULL;
}

static int32_t first_pass(struct reader *reader)
{
    int64_t declared = ctv_declared_size(reader->source.fd, reader->source.size);
    if (declared > reader->source.size && !reader->options->tolerate_damage)
        return ctv_fail(&reader->error, CTV_TRUNCATED,
                        "the container declares %" PRId64 " bytes, the file has %" PRId64,
                        declared, reader->source.size);
    int32_t fault = ctv_stream_open(&reader->stream, &reader->source, &reader->error);
    if (fault != CTV_OK)
        return fault;
    ctv_stream_describe(&reader->stream, reader->info);
    reader->expected_total = FFMAX(0, FFMIN(reader->stream.video->nb_frames, INT32_MAX));
    reader->keeping = reader->keeping_all = reader->rgb != NULL;
    fault = ctv_stream_decode(&reader->stream, keep_frame, reader);
    ctv_stream_measure(&reader->stream, reader->info);
    reader->info->passes = 1;
    if (fault == CTV_OK)
        fault = ctv_stream_judge(&reader->stream, reader->options->tolerate_damage != 0);
    if (fault == CTV_OK && reader->stream.decoded > INT32_MAX)
        fault = ctv_fail(&reader->error, CTV_INTERNAL, "more than %d frames", INT32_MAX);
    return fault == CTV_OK && reader->rgb ? choose_samples(reader, reader->stream.decoded) : fault;
}

static int32_t second_pass(struct reader *reader)
{
    drop_kept(reader);
    ctv_stream_close(&reader->stream);
    reader->info->passes = 2;
    int32_t fault = ctv_stream_open(&reader->stream, &reader->source, &reader->error);
    if (fault == CTV_OK)
        fault = ctv_stream_decode(&reader->stream, deliver_in_second_pass, reader);
    if (fault == CTV_OK && reader->missing > 0)
        fault = ctv_fail(&reader->error, CTV_INTERNAL,
                         "%" PRId64 " frames are missing from the second pass; was the file written to?", reader->missing);
    return fault;
}

static int32_t read_samples(struct reader *reader)
{
    int32_t fault = first_pass(reader);
    if (fault != CTV_OK || !reader->rgb)
        return fault;
    bool complete = true;
    for (int32_t i = 0; i < reader->options->frames && complete; i++)
        complete = kept_has(reader, reader->samples[i]);
    if (!complete)
        return second_pass(reader);
    for (size_t i = 0; i < reader->kept_count && fault == CTV_OK; i++)
        fault = deliver(reader, reader->kept[i].frame, reader->kept[i].index);
    return fault;
}

int32_t ctv_read(const char *path, const ctv_read_options *options, uint8_t *rgb, int64_t rgb_bytes, ctv_info *info,
                 char *message, int32_t message_bytes)
{
    struct reader reader = {.options = options, .error = {message, message_bytes}, .info = info, .rgb = rgb};
    reader.source.fd = -1;
    ctv_fail(&reader.error, CTV_OK, "%s", "");
    const int32_t most_side = 16384, most_frames = 65536;
    if (!path || !options || !options->index_of || (!rgb && !options->watcher) || !info ||
        options->frames <= 0 || options->frames > most_frames ||
        options->width <= 0 || options->width > most_side || options->height <= 0 || options->height > most_side ||
        options->limit_ms < 0 || rgb_bytes != (rgb ? (int64_t)options->frames * options->width * options->height * 3 : 0))
        return ctv_fail(&reader.error, CTV_INVALID_ARGUMENT,
                        "the read options are out of range or the buffer has the wrong size");
    memset(info, 0, sizeof *info);

    ctv_clock_start(&reader.clock, options->limit_ms, options->stop);
    int32_t fault = ctv_source_open(&reader.source, path, &reader.clock, &reader.error);
    if (fault == CTV_OK)
        fault = read_samples(&reader);

    drop_kept(&reader);
    ctv_stream_close(&reader.stream);
    ctv_converter_free(&reader.converter);
    ctv_grey_close(&reader.grey);
    ctv_source_close(&reader.source);
    av_free(reader.kept);
    av_free(reader.samples);
    return fault;
}
