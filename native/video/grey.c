// Decoded frames (any pixel format) to the small grey pictures of a ctv_watcher.
#include "internal.h"

#include <libavutil/pixdesc.h>

// As in convert.c: one result on every machine.
static const int scaler_flags = SWS_AREA | SWS_ACCURATE_RND | SWS_BITEXACT;

// Averages the frame's luma down to width × height.
static int32_t shrink(struct ctv_grey *grey, const AVFrame *frame, int width, int height, const struct ctv_error *error)
{
    int format = frame->format, range = frame->color_range, space = frame->colorspace;
    ctv_plain_format(&format, &range);
    if (!grey->sws || grey->from_width != frame->width || grey->from_height != frame->height || grey->format != format ||
        grey->space != space || grey->range != range || grey->width != width || grey->height != height)
    {
        sws_freeContext(grey->sws);
        grey->sws = sws_getContext(frame->width, frame->height, format, width, height, AV_PIX_FMT_GRAY8, scaler_flags, NULL,
                                   NULL, NULL);
        if (!grey->sws)
        {
            const char *name = av_get_pix_fmt_name(format);
            return ctv_fail(error, CTV_UNSUPPORTED_CODEC, "%dx%d pictures of pixel format %s cannot be converted to grey",
                            frame->width, frame->height, name ? name : "unknown");
        }
        ctv_set_colours(grey->sws, space, range, true);
        grey->from_width = frame->width;
        grey->from_height = frame->height;
        grey->format = format;
        grey->space = space;
        grey->range = range;
        grey->width = width;
        grey->height = height;
        // Rows start on 64 bytes, and the last may be overrun by the scaler's wide stores.
        grey->stride = (width + 63) / 64 * 64;
        av_free(grey->pixels);
        grey->pixels = av_malloc((size_t)grey->stride * ((size_t)height + 1));
    }
    if (!grey->pixels)
        return ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory for a %dx%d picture", width, height);
    uint8_t *planes[4] = {grey->pixels};
    int strides[4] = {grey->stride};
    int rows = sws_scale(grey->sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, planes, strides);
    return rows == height ? CTV_OK
                          : ctv_fail(error, CTV_INTERNAL, "conversion to grey delivered %d of %d rows", rows, height);
}

int32_t ctv_grey_show(struct ctv_grey *grey, const ctv_watcher *watcher, const struct ctv_stream *stream, const AVFrame *frame,
                      const struct ctv_error *error)
{
    struct ctv_orientation orientation = ctv_orientation_of(stream->video, frame);
    ctv_glimpse glimpse = {.seconds = stream->timeline.seconds, .step = stream->timeline.latest_step};
    ctv_displayed_size(stream->format, stream->video, frame, &glimpse.width, &glimpse.height);
    int32_t answer = watcher->wants(watcher->state, &glimpse);
    if (answer == 0)
        return CTV_OK;
    if (answer > 0)
    {
        int columns = glimpse.columns, rows = glimpse.rows;
        int32_t fault = shrink(grey, frame, orientation.transpose ? rows : columns, orientation.transpose ? columns : rows, error);
        if (fault != CTV_OK)
            return fault;
        struct ctv_picture picture = {{grey->pixels, grey->pixels, grey->pixels}, 1, grey->stride, grey->width, grey->height};
        ctv_orient(&picture, orientation);
        uint8_t *target = glimpse.pixels;
        for (int y = 0; y < rows; y++)
            for (int x = 0; x < columns; x++)
                *target++ = picture.planes[0][x * picture.step_x + y * picture.step_y];
        answer = watcher->take(watcher->state);
    }
    return answer >= 0 ? CTV_OK : ctv_fail(error, CTV_CANCELLED, "stopped by its caller");
}

void ctv_grey_close(struct ctv_grey *grey)
{
    sws_freeContext(grey->sws);
    av_free(grey->pixels);
    *grey = (struct ctv_grey){0};
}
