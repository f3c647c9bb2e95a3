// Phones store pictures as the sensor sees them and a 3x3 matrix that says how to hold them. Of that matrix only the eight
// right-angled cases matter; any other angle is left as stored, as most players do. Broadcasts and discs store pixels that are
// not square.
#include "internal.h"

#include <libavutil/display.h>
#include <math.h>
#include <stdlib.h>

static const int32_t *stream_matrix(const AVStream *stream)
{
#if CTV_SIDE_DATA_IN_CODECPAR
    const AVPacketSideData *data = av_packet_side_data_get(
        stream->codecpar->coded_side_data, stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return data && (size_t)data->size >= 9 * sizeof(int32_t) ? (const int32_t *)data->data : NULL;
#else
    return (const int32_t *)av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, NULL);
#endif
}

struct ctv_orientation ctv_orientation_of(const AVStream *stream, const AVFrame *frame)
{
    struct ctv_orientation orientation = {false, false, false};
    const int32_t *matrix = stream_matrix(stream);
    if (!matrix)
    {
        const AVFrameSideData *data = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
        matrix = data && (size_t)data->size >= 9 * sizeof(int32_t) ? (const int32_t *)data->data : NULL;
    }
    if (!matrix)
        return orientation;
    // A stored point (p, q) is shown at (a p + c q, b p + d q).
    int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
    int64_t straight = llabs(a) + llabs(d), crossed = llabs(b) + llabs(c);
    if (straight > 16 * crossed)
    {
        orientation.mirror_x = a < 0;
        orientation.mirror_y = d < 0;
    }
    else if (crossed > 16 * straight)
    {
        orientation.transpose = true;
        orientation.mirror_x = c < 0;
        orientation.mirror_y = b < 0;
    }
    return orientation;
}

// Nothing moves: the resize that follows reads the pixels in the turned order.
void ctv_orient(struct ctv_picture *picture, struct ctv_orientation orientation)
{
    if (orientation.transpose)
    {
        FFSWAP(int, picture->width, picture->height);
        FFSWAP(ptrdiff_t, picture->step_x, picture->step_y);
    }
    if (orientation.mirror_x)
    {
        for (int channel = 0; channel < 3; channel++)
            picture->planes[channel] += (picture->width - 1) * picture->step_x;
        picture->step_x = -picture->step_x;
    }
    if (orientation.mirror_y)
    {
        for (int channel = 0; channel < 3; channel++)
            picture->planes[channel] += (picture->height - 1) * picture->step_y;
        picture->step_y = -picture->step_y;
    }
}

void ctv_displayed_size(AVFormatContext *format, AVStream *stream, const AVFrame *frame, int *width, int *height)
{
    const double most_side = 16384, widest = 32, most_pixels = 64 * 1024 * 1024;
    AVRational pixel = av_guess_sample_aspect_ratio(format, stream, (AVFrame *)frame);
    double shape = pixel.num > 0 && pixel.den > 0 ? av_q2d(pixel) : 1;
    if (shape > widest || shape < 1 / widest || frame->width * shape * frame->height > most_pixels)
        shape = 1;
    *width = (int)FFMIN(most_side, FFMAX(1, round(frame->width * shape)));
    *height = frame->height;
    if (ctv_orientation_of(stream, frame).transpose)
        FFSWAP(int, *width, *height);
}

int ctv_orientation_mark(AVStream *stream, int clockwise_degrees)
{
    if (clockwise_degrees == 0)
        return 0;
#if CTV_SIDE_DATA_IN_CODECPAR
    AVPacketSideData *data =
        av_packet_side_data_new(&stream->codecpar->coded_side_data, &stream->codecpar->nb_coded_side_data,
                                AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t), 0);
    int32_t *matrix = data ? (int32_t *)data->data : NULL;
#else
    int32_t *matrix = (int32_t *)av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t));
#endif
    if (!matrix)
        return AVERROR(ENOMEM);
    // av_display_rotation_set takes the clockwise angle (its documentation up to FFmpeg 4.4 says otherwise).
    av_display_rotation_set(matrix, clockwise_degrees);
    return 0;
}
