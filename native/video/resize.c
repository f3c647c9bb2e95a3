// Bilinear resize to RGB24, bit for bit what OpenCV's cv::resize does for uint8 with INTER_LINEAR: half-pixel centres, two
// source samples per axis however much the picture shrinks (no antialiasing), weights rounded to 11 bits.
//
//   s = (x + 0.5) * (source / target) - 0.5,  i = floor(s),  w1 = round(2048 * (s - i)),  w0 = round(2048 * (1 - (s - i)))
//   along a row:    h = w0 * p[i] + w1 * p[i + 1]                      (columns clamped: weight 2048 on the edge pixel)
//   down a column:  v = ((v0 * (h0 >> 4)) >> 16) + ((v1 * (h1 >> 4)) >> 16),  result = (v + 2) >> 2     (rows clamped)
//
// s is rounded to float before its fraction is taken, and round() is to nearest even, because OpenCV does so.
#include "internal.h"

#include <math.h>

enum
{
    one = 2048 // 1.0 as a weight
};

struct tap
{
    ptrdiff_t first, second; // source offsets
    int32_t weight0, weight1;
};

static struct tap tap_at(int target, double scale)
{
    float centre = (float)((target + 0.5) * scale - 0.5);
    int index = (int)floorf(centre);
    float fraction = centre - (float)index;
    return (struct tap){index, index + 1, (int32_t)lrintf((1.0f - fraction) * one), (int32_t)lrintf(fraction * one)};
}

// One colour plane of one source row, blended along x.
static void blend_row(const uint8_t *row, const struct tap *columns, int width, int32_t *blended)
{
    for (int x = 0; x < width; x++)
        blended[x] = row[columns[x].first] * columns[x].weight0 + row[columns[x].second] * columns[x].weight1;
}

static void resize_plane(const uint8_t *plane, const struct ctv_picture *picture, const struct tap *columns, int32_t *rows,
                         uint8_t *target, int width, int height)
{
    double scale = 1.0 / ((double)height / picture->height);
    int32_t *blended[2] = {rows, rows + width};
    int held[2] = {-1, -1}; // which source row each of them holds
    for (int y = 0; y < height; y++)
    {
        struct tap row = tap_at(y, scale);
        int wanted[2] = {av_clip(row.first, 0, picture->height - 1), av_clip(row.second, 0, picture->height - 1)};
        if (held[1] == wanted[0])
        {
            FFSWAP(int32_t *, blended[0], blended[1]);
            FFSWAP(int, held[0], held[1]);
        }
        for (int k = 0; k < 2; k++)
            if (held[k] != wanted[k])
            {
                blend_row(plane + wanted[k] * picture->step_y, columns, width, blended[k]);
                held[k] = wanted[k];
            }
        const int32_t *upper = blended[0], *lower = blended[1];
        for (int x = 0; x < width; x++, target += 3)
            *target = (uint8_t)((((row.weight0 * (upper[x] >> 4)) >> 16) + ((row.weight1 * (lower[x] >> 4)) >> 16) + 2) >> 2);
    }
}

int32_t ctv_resize_picture(const struct ctv_picture *picture, uint8_t *target, int width, int height)
{
    struct tap *columns = av_malloc_array((size_t)width, sizeof *columns);
    int32_t *rows = av_malloc_array((size_t)width * 2, sizeof *rows);
    if (!columns || !rows)
    {
        av_free(columns);
        av_free(rows);
        return CTV_OUT_OF_MEMORY;
    }
    // Inverted twice, as OpenCV does: the last bit of the scale decides roundings.
    double scale = 1.0 / ((double)width / picture->width);
    for (int x = 0; x < width; x++)
    {
        struct tap column = tap_at(x, scale);
        if (column.first < 0 || column.second >= picture->width)
        {
            int edge = column.first < 0 ? 0 : picture->width - 1;
            column = (struct tap){edge, edge, one, 0};
        }
        column.first *= picture->step_x;
        column.second *= picture->step_x;
        columns[x] = column;
    }
    for (int channel = 0; channel < 3; channel++)
        resize_plane(picture->planes[channel], picture, columns, rows, target + channel, width, height);
    av_free(columns);
    av_free(rows);
    return CTV_OK;
}

int32_t ctv_resize(const uint8_t *source, int32_t source_width, int32_t source_height, int64_t source_stride,
                   uint8_t *target, int32_t target_width, int32_t target_height)
{
    if (!source || !target || source_width <= 0 || source_height <= 0 || target_width <= 0 || target_height <= 0 ||
        source_stride < (int64_t)source_width * 3)
        return CTV_INVALID_ARGUMENT;
    struct ctv_picture picture = {{source, source + 1, source + 2}, 3, source_stride, source_width, source_height};
    return ctv_resize_picture(&picture, target, target_width, target_height);
}
