// Every frame of a video in order, for whoever needs more of it than a few samples. Nothing is kept.
#include "internal.h"

#include <inttypes.h>
#include <string.h>

enum
{
    least_side = 8 // of a part of the picture
};

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
    AVFrame *part; // of the frame, that is looked at; NULL where it is the whole
    double next_picture;
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

static int32_t draw_picture(struct walk *walk, const AVFrame *frame)
{
    struct ctv_picture picture;
    int32_t fault = ctv_convert(&walk->converter, frame, &picture, &walk->error);
    if (fault != CTV_OK)
        return fault;
    ctv_orient(&picture, ctv_orientation_of(walk->stream.video, frame));
    return ctv_resize_picture(&picture, walk->rgb, walk->width, walk->height);
}

// The part of the frame that is looked at, as the frame is coded.
static const AVFrame *part_of(struct walk *walk, const AVFrame *frame)
{
    const double *crop = walk->options->crop;
    if (!walk->part || av_frame_ref(walk->part, frame) < 0)
        return frame;
    int left = (int)(crop[0] * frame->width), top = (int)(crop[1] * frame->height);
    int right = frame->width - left - FFMAX(least_side, (int)(crop[2] * frame->width));
    int bottom = frame->height - top - FFMAX(least_side, (int)(crop[3] * frame->height));
    if (right < 0 || bottom < 0)
        return frame;
    AVFrame *part = walk->part;
    part->crop_left = (size_t)left;
    part->crop_top = (size_t)top;
    part->crop_right = (size_t)right;
    part->crop_bottom = (size_t)bottom;
    return av_frame_apply_cropping(part, AV_FRAME_CROP_UNALIGNED) < 0 ? frame : part;
}

static int32_t hand_on_part(struct walk *walk, const AVFrame *frame, int64_t index)
{
    const ctv_walk_options *options = walk->options;
    double seconds = walk->stream.timeline.seconds;
    int32_t fault = walk->rgb ? CTV_OK : choose_size(walk, frame);
    bool rests = options->live && options->live->rests, is_wanted = seconds >= walk->next_picture && !rests;
    if (fault == CTV_OK && is_wanted)
        fault = draw_picture(walk, frame);
    if (fault != CTV_OK)
        return fault;
    if (is_wanted)
        walk->next_picture = seconds + options->picture_every;
    ctv_frame delivered = {.index = index, .seconds = seconds, .rgb = is_wanted ? walk->rgb : NULL, .width = walk->width,
                           .height = walk->height, .rate_num = walk->rate.num, .rate_den = walk->rate.den,
                           .shown_width = walk->info->width, .shown_height = walk->info->height};
    if (options->live && walk->stream.timeline.has_stamp)
        delivered.late = ctv_live_delay(&walk->stream, walk->stream.timeline.stamp);
    if (options->watcher && !rests)
        fault = ctv_grey_show(&walk->grey, options->watcher, &walk->stream, frame, &walk->error);
    if (fault != CTV_OK)
        return fault;
    if (walk->callback(walk->state, &delivered) != 0)
        return ctv_fail(&walk->error, CTV_CANCELLED, "stopped by its caller");
    ctv_clock_start(&walk->clock, options->limit_ms, options->stop);
    return CTV_OK;
}

static int32_t hand_on(void *state, const AVFrame *frame, int64_t index)
{
    struct walk *walk = state;
    int32_t fault = hand_on_part(walk, part_of(walk, frame), index);
    if (walk->part)
        av_frame_unref(walk->part);
    return fault;
}

static int32_t open_stream(struct walk *walk, const char *path)
{
    ctv_live *live = walk->options->live;
    if (!live)
        return ctv_stream_open(&walk->stream, &walk->source, &walk->error);
    int32_t fault = ctv_stream_open_live(&walk->stream, &walk->source, path, live, &walk->error);
    ctv_clock_start(&walk->clock, walk->options->limit_ms, walk->options->stop);
    return fault;
}

static int32_t walk_through(struct walk *walk, const char *path)
{
    int32_t fault = open_stream(walk, path);
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
        fault = ctv_stream_judge(&walk->stream, walk->options->live != NULL);
    if (walk->source.fd < 0)
        return fault;
    int64_t declared = ctv_declared_size(walk->source.fd, walk->source.size);
    if (fault == CTV_OK && declared > walk->source.size)
        fault = ctv_fail(&walk->error, CTV_TRUNCATED,
                         "the container declares %" PRId64 " bytes, the file has %" PRId64 "; %" PRId64 " frames decode",
                         declared, walk->source.size, walk->stream.decoded);
    return fault;
}

static bool is_crop(const double *crop)
{
    bool is_none = crop[0] == 0 && crop[1] == 0 && crop[2] == 0 && crop[3] == 0;
    return is_none || (crop[0] >= 0 && crop[1] >= 0 && crop[2] > 0 && crop[3] > 0 && crop[0] + crop[2] <= 1 && crop[1] + crop[3] <= 1);
}

int32_t ctv_walk(const char *path, const ctv_walk_options *options, ctv_frame_callback callback, void *state,
                 ctv_info *info, char *message, int32_t message_bytes)
{
    struct walk walk = {.options = options, .callback = callback, .state = state, .error = {message, message_bytes}, .info = info};
    walk.source.fd = -1;
    ctv_fail(&walk.error, CTV_OK, "%s", "");
    const int32_t most_side = 16384;
    if (!path || !options || !callback || !info || options->width < 0 || options->width > most_side || options->height < 0 ||
        options->height > most_side || (options->width == 0) != (options->height == 0) || options->limit_ms < 0 ||
        !(options->picture_every >= 0) || !is_crop(options->crop))
        return ctv_fail(&walk.error, CTV_INVALID_ARGUMENT, "the options are out of range");
    memset(info, 0, sizeof *info);

    const ctv_live *live = options->live;
    bool is_file = !live || !live->is_address;
    ctv_clock_start(&walk.clock, live ? live->open_ms : options->limit_ms, options->stop);
    walk.source.clock = &walk.clock;
    int32_t fault = is_file ? ctv_source_open(&walk.source, path, &walk.clock, &walk.error) : CTV_OK;
    if (fault == CTV_OK && options->crop[2] > 0 && !(walk.part = av_frame_alloc()))
        fault = ctv_fail(&walk.error, CTV_OUT_OF_MEMORY, "no memory for a picture");
    if (fault == CTV_OK)
        fault = walk_through(&walk, path);

    ctv_stream_close(&walk.stream);
    ctv_converter_free(&walk.converter);
    ctv_grey_close(&walk.grey);
    ctv_source_close(&walk.source);
    av_frame_free(&walk.part);
    av_free(walk.rgb);
    if (live)
        ctv_trim();
    return fault;
}
