// Decoded frames (any pixel format) to small grey pictures for the motion features.
#include "luma.h"

#include <libavutil/pixdesc.h>

// As in convert.c: one result on every machine.
static const int scaler_flags = SWS_AREA | SWS_ACCURATE_RND | SWS_BITEXACT;

// Averages the frame's luma down to width × height.
static int32_t shrink(struct ctv_luma *luma, const AVFrame *frame, int width, int height, const struct ctv_error *error)
{
    int format = frame->format, range = frame->color_range, space = frame->colorspace;
    ctv_plain_format(&format, &range);
    if (!luma->sws || luma->from_width != frame->width || luma->from_height != frame->height || luma->format != format ||
        luma->space != space || luma->range != range || luma->width != width || luma->height != height)
    {
        sws_freeContext(luma->sws);
        luma->sws = sws_getContext(frame->width, frame->height, format, width, height, AV_PIX_FMT_GRAY8, scaler_flags, NULL,
                                   NULL, NULL);
        if (!luma->sws)
        {
            const char *name = av_get_pix_fmt_name(format);
            return ctv_fail(error, CTV_UNSUPPORTED_CODEC, "%dx%d pictures of pixel format %s cannot be converted to grey",
                            frame->width, frame->height, name ? name : "unknown");
        }
        ctv_set_colours(luma->sws, space, range, true);
        luma->from_width = frame->width;
        luma->from_height = frame->height;
        luma->format = format;
        luma->space = space;
        luma->range = range;
        luma->width = width;
        luma->height = height;
        // Rows start on 64 bytes, and the last may be overrun by the scaler's wide stores.
        luma->stride = (width + 63) / 64 * 64;
        av_free(luma->grey);
        luma->grey = av_malloc((size_t)luma->stride * ((size_t)height + 1));
    }
    if (!luma->grey)
        return ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory for a %dx%d picture", width, height);
    uint8_t *planes[4] = {luma->grey};
    int strides[4] = {luma->stride};
    int rows = sws_scale(luma->sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, planes, strides);
    return rows == height ? CTV_OK
                          : ctv_fail(error, CTV_INTERNAL, "conversion to grey delivered %d of %d rows", rows, height);
}

int32_t ctv_luma_watch(struct ctv_luma *luma, struct ctv_motion *motion, const struct ctv_stream *stream, const AVFrame *frame,
                       const struct ctv_error *error)
{
    AVRational rate = av_guess_frame_rate(stream->format, stream->video, NULL);
    double frame_seconds = rate.num > 0 && rate.den > 0 ? (double)rate.den / rate.num : 1.0 / 25;
    if (!ctv_motion_wants(motion, stream->seconds, frame_seconds))
        return CTV_OK;
    struct ctv_orientation orientation = ctv_orientation_of(stream->video, frame);
    int width = orientation.transpose ? frame->height : frame->width;
    int height = orientation.transpose ? frame->width : frame->height;
    float *target = ctv_motion_room(motion, width, height);
    if (!target)
        return ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory for the motion of a %dx%d video", width, height);
    int columns = motion->columns, rows = ctv_luma_rows;
    int32_t fault = shrink(luma, frame, orientation.transpose ? rows : columns, orientation.transpose ? columns : rows, error);
    if (fault != CTV_OK)
        return fault;
    struct ctv_picture picture = {{luma->grey, luma->grey, luma->grey}, 1, luma->stride, luma->width, luma->height};
    ctv_orient(&picture, orientation);
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++)
            *target++ = (float)picture.planes[0][x * picture.step_x + y * picture.step_y];
    return ctv_motion_take(motion) ? CTV_OK : ctv_fail(error, CTV_OUT_OF_MEMORY, "no memory for the motion of %lld pairs of frames", (long long)motion->pairs);
}

void ctv_luma_close(struct ctv_luma *luma)
{
    sws_freeContext(luma->sws);
    av_free(luma->grey);
    *luma = (struct ctv_luma){0};
}
