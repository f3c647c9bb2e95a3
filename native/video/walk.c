// Every frame of a video in order, for whoever needs more of it than a few samples. Nothing is kept.
#include "internal.h"

#include <inttypes.h>
#include <string.h>

struct walk
{
    const ctv_walk_options *options;
    ctv_frame_callback callback;
    void *state;
    struct ctv_error error;
    struct ctv_clock clock;
    struct ctv_source source;
    struct ctv_stream stream;
    struct ctv_converter converter;
    struct ctv_grey grey;
    ctv_info *info;
    AVRational rate;
    uint8_t *rgb;
    int width, height; // of what is delivered; 0 before the first frame
};

// The first frame decides: the size may change within a stream, but not for whoever receives the pictures.
static int32_t choose_size(struct walk *walk, const AVFrame *frame)
{
    ctv_displayed_size(walk->stream.format, walk->stream.video, frame, &walk->info->width, &walk->info->height);
    walk->width = walk->options->width > 0 ? walk->options->width : walk->info->width;
    walk->height = walk->options->height > 0 ? walk->options->height : walk->info->height;
    walk->rgb = av_malloc((size_t)walk->width * walk->height * 3);
    return walk->rgb ? CTV_OK
                     : ctv_fail(&walk->error, CTV_OUT_OF_MEMORY, "no memory for a %dx%d picture", walk->width, walk->height);
}

static int32_t hand_on(void *state, const AVFrame *frame, int64_t index)
{
    struct walk *walk = state;
    struct ctv_picture picture;
    int32_t fault = ctv_convert(&walk->converter, frame, &picture, &walk->error);
    if (fault != CTV_OK)
        return fault;
    ctv_orient(&picture, ctv_orientation_of(walk->stream.video, frame));
    if (!walk->rgb)
        fault = choose_size(walk, frame);
    if (fault == CTV_OK)
        fault = ctv_resize_picture(&picture, walk->rgb, walk->width, walk->height);
    if (fault != CTV_OK)
        return fault;
    ctv_frame delivered = {.index = index, .seconds = walk->stream.timeline.seconds, .rgb = walk->rgb, .width = walk->width,
                           .height = walk->height, .rate_num = walk->rate.num, .rate_den = walk->rate.den};
    if (walk->options->watcher)
        fault = ctv_grey_show(&walk->grey, walk->options->watcher, &walk->stream, frame, &walk->error);
    if (fault != CTV_OK)
        return fault;
    if (walk->callback(walk->state, &delivered) != 0)
        return ctv_fail(&walk->error, CTV_CANCELLED, "stopped by its caller");
    ctv_clock_start(&walk->clock, walk->options->limit_ms, walk->options->stop);
    return CTV_OK;
}

static int32_t walk_through(struct walk *walk)
{
    int32_t fault = ctv_stream_open(&walk->stream, &walk->source, &walk->error);
    if (fault != CTV_OK)
        return fault;
    ctv_stream_describe(&walk->stream, walk->info);
    walk->rate = av_guess_frame_rate(walk->stream.format, walk->stream.video, NULL);
    if (walk->rate.num <= 0 || walk->rate.den <= 0)
        walk->rate = (AVRational){0, 1};
    fault = ctv_stream_decode(&walk->stream, hand_on, walk);
    ctv_stream_measure(&walk->stream, walk->info);
    walk->info->passes = 1;
    if (fault == CTV_OK)
        fault = ctv_stream_judge(&walk->stream, false);
    int64_t declared = ctv_declared_size(walk->source.fd, walk->source.size);
    if (fault == CTV_OK && declared > walk->source.size)
        fault = ctv_fail(&walk->error, CTV_TRUNCATED,
                         "the container declares %" PRId64 " bytes, the file has %" PRId64 "; %" PRId64 " frames decode",
                         declared, walk->source.size, walk->stream.decoded);
    return fault;
}

int32_t ctv_walk(const char *path, const ctv_walk_options *options, ctv_frame_callback callback, void *state,
                 ctv_info *info, char *message, int32_t message_bytes)
{
    struct walk walk = {.options = options, .callback = callback, .state = state, .error = {message, message_bytes}, .info = info};
    walk.source.fd = -1;
    ctv_fail(&walk.error, CTV_OK, "%s", "");
    const int32_t most_side = 16384;
    if (!path || !options || !callback || !info || options->width < 0 || options->width > most_side || options->height < 0 ||
        options->height > most_side || (options->width == 0) != (options->height == 0) || options->limit_ms < 0)
        return ctv_fail(&walk.error, CTV_INVALID_ARGUMENT, "the options are out of range");
    memset(info, 0, sizeof *info);

    ctv_clock_start(&walk.clock, options->limit_ms, options->stop);
    int32_t fault = ctv_source_open(&walk.source, path, &walk.clock, &walk.error);
    if (fault == CTV_OK)
        fault = walk_through(&walk);

    ctv_stream_close(&walk.stream);
    ctv_converter_free(&walk.converter);
    ctv_grey_close(&walk.grey);
    ctv_source_close(&walk.source);
    av_free(walk.rgb);
    return fault;
}
