// CTV_MOTION_FEATURES numbers of what moves between two luma pictures. docs/motion.md lists them in order.
//
// Speeds are in picture heights a second, so that size and frame rate of a video do not matter; differences in grey levels.
// Places are never told: cells are sorted, centres are not given, left and right count alike.
#include "motion.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum
{
    planes = 24
};

static const float lively = 0.15f; // heights a second, from which a pixel counts as moving

bool ctv_descriptor_open(struct ctv_descriptor *descriptor, int luma_columns, double aspect)
{
    int columns = luma_columns / 2;
    size_t count = (size_t)columns * ctv_field_rows;
    *descriptor = (struct ctv_descriptor){luma_columns, columns, (float)(aspect / columns), {0}, NULL, NULL, NULL, NULL,
                                          NULL, NULL, NULL, false};
    descriptor->memory = calloc(count * (planes + 6), sizeof(float));
    if (!descriptor->memory || !ctv_flow_open(&descriptor->flow, columns, ctv_field_rows))
    {
        ctv_descriptor_close(descriptor);
        return false;
    }
    float **held[] = {&descriptor->u, &descriptor->v, &descriptor->speed, &descriptor->previous_u, &descriptor->previous_v,
                      &descriptor->previous_speed};
    for (int i = 0; i < 6; i++)
        *held[i] = descriptor->memory + (size_t)(planes + i) * count;
    return true;
}

void ctv_descriptor_close(struct ctv_descriptor *descriptor)
{
    ctv_flow_close(&descriptor->flow);
    free(descriptor->memory);
    descriptor->memory = NULL;
}

// ---- parts that the families share ----

static float *put(float *out, float x)
{
    *out = ctv_compress(x);
    return out + 1;
}

static float *put_spread(float *out, struct ctv_spread spread)
{
    const float values[] = {spread.mean, spread.q50, spread.q75, spread.q90, spread.q97, spread.q995};
    for (int i = 0; i < 6; i++)
        out = put(out, values[i]);
    return out;
}

static float *put_upper(float *out, struct ctv_spread spread, float scale)
{
    return put(put(put(out, spread.mean * scale), spread.q90 * scale), spread.q97 * scale);
}

// Shares of the pixels between edge k and edge k + 1, and above the last.
static float *put_histogram(float *out, const float *field, int count, const float *edges, int edge_count)
{
    int32_t above[16] = {0};
    for (int k = 0; k < edge_count; k++)
        for (int i = 0; i < count; i++)
            above[k] += field[i] > edges[k];
    for (int k = 0; k < edge_count; k++)
        out = put(out, (float)(above[k] - above[k + 1]) / (float)count);
    return out;
}

static float mean_of(const float *field, int count)
{
    float sum = 0;
    for (int i = 0; i < count; i++)
        sum += field[i];
    return sum / (float)count;
}

static float mean_product(const float *left, const float *right, int count)
{
    float sum = 0;
    for (int i = 0; i < count; i++)
        sum += left[i] * right[i];
    return sum / (float)count;
}

static void lengths(const float *x, const float *y, float *length, int count)
{
    for (int i = 0; i < count; i++)
        length[i] = sqrtf(x[i] * x[i] + y[i] * y[i]);
}

static void lengths_of_difference(const float *x, const float *y, const float *x0, const float *y0, float scale, float *length, int count)
{
    for (int i = 0; i < count; i++)
    {
        float dx = (x[i] - x0[i]) * scale, dy = (y[i] - y0[i]) * scale;
        length[i] = sqrtf(dx * dx + dy * dy);
    }
}

static int descending(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a < b) - (a > b);
}

// ---- families ----

// Divergence, curl, shear and the size of all four derivatives, in 1/s.
static float *put_derivatives(float *out, const struct ctv_descriptor *descriptor, const float *u, const float *v, float *plane[])
{
    int columns = descriptor->columns, count = columns * ctv_field_rows;
    float across = 1.0f / descriptor->pixel_width, down = (float)ctv_field_rows;
    float *ux = plane[0], *uy = plane[1], *vx = plane[2], *vy = plane[3];
    float *divergence = plane[4], *curl = plane[5], *shear = plane[6], *all = plane[7];
    ctv_gradient(u, ux, uy, columns, ctv_field_rows);
    ctv_gradient(v, vx, vy, columns, ctv_field_rows);
    for (int i = 0; i < count; i++)
    {
        float a = ux[i] * across, b = uy[i] * down, c = vx[i] * across, d = vy[i] * down;
        divergence[i] = fabsf(a + d);
        curl[i] = fabsf(c - b);
        shear[i] = sqrtf((a - d) * (a - d) + (b + c) * (b + c));
        all[i] = sqrtf((a * a + b * b) + (c * c + d * d));
    }
    out = put_upper(out, ctv_spread_of(divergence, count), 1);
    out = put_upper(out, ctv_spread_of(curl, count), 1);
    out = put_upper(out, ctv_spread_of(shear, count), 1);
    return put_spread(out, ctv_spread_of(all, count));
}

// Mean speed in a grid of cells, the fastest first.
static float *put_cells(float *out, const float *speed, int columns)
{
    static const int sides[] = {2, 4, 8};
    static const int ranks_of_64[] = {0, 1, 2, 3, 6, 10, 16, 24, 32};
    for (int g = 0; g < 3; g++)
    {
        int side = sides[g];
        float cells[64];
        for (int cy = 0; cy < side; cy++)
            for (int cx = 0; cx < side; cx++)
            {
                int left = cx * columns / side, right = (cx + 1) * columns / side;
                int top = cy * ctv_field_rows / side, bottom = (cy + 1) * ctv_field_rows / side;
                float sum = 0;
                for (int y = top; y < bottom; y++)
                    for (int x = left; x < right; x++)
                        sum += speed[y * columns + x];
                cells[cy * side + cx] = sum / (float)((right - left) * (bottom - top));
            }
        qsort(cells, (size_t)side * side, sizeof *cells, descending);
        if (side < 8)
            for (int i = 0; i < side * side; i++)
                out = put(out, cells[i]);
        else
            for (int i = 0; i < 9; i++)
                out = put(out, cells[ranks_of_64[i]]);
    }
    return out;
}

// How much of the motion around a pixel has one direction: |mean flow| against mean speed.
static float *put_coherence(float *out, const float *u, const float *v, const float *speed, int columns, int radius, float *plane[])
{
    int count = columns * ctv_field_rows;
    float *mean_u = plane[0], *mean_v = plane[1], *mean_speed = plane[2], *together = plane[3], *scratch = plane[4];
    ctv_blur(u, mean_u, scratch, columns, ctv_field_rows, radius);
    ctv_blur(v, mean_v, scratch, columns, ctv_field_rows, radius);
    ctv_blur(speed, mean_speed, scratch, columns, ctv_field_rows, radius);
    lengths(mean_u, mean_v, together, count);
    float weighted = 0, weight = 0, apart = 0;
    for (int i = 0; i < count; i++)
    {
        weighted += speed[i] * together[i] / (mean_speed[i] + 1e-3f);
        weight += speed[i];
        apart += mean_speed[i] > together[i] ? mean_speed[i] - together[i] : 0;
    }
    return put(put(out, weighted / (weight + 1e-6f)), apart / (float)count);
}

// The pixels that move: how far they spread, how fast they are, how much they agree. `crowded` is speed times its local mean.
static float *put_movers(float *out, const struct ctv_descriptor *descriptor, const float *u, const float *v, const float *speed, float *plane[])
{
    int columns = descriptor->columns;
    float *around = plane[0], *scratch = plane[1];
    ctv_blur(speed, around, scratch, columns, ctv_field_rows, 2);
    float weight = 0, squares = 0, crowded = 0, wx = 0, wy = 0, wu = 0, wv = 0;
    int movers = 0;
    for (int y = 0; y < ctv_field_rows; y++)
        for (int x = 0; x < columns; x++)
        {
            int i = y * columns + x;
            if (speed[i] <= lively)
                continue;
            movers++;
            weight += speed[i];
            squares += speed[i] * speed[i];
            crowded += speed[i] * around[i];
            wx += speed[i] * (float)x;
            wy += speed[i] * (float)y;
            wu += speed[i] * u[i];
            wv += speed[i] * v[i];
        }
    if (movers == 0)
    {
        memset(out, 0, 7 * sizeof *out);
        return out + 7;
    }
    float centre_x = wx / weight, centre_y = wy / weight, mean_u = wu / weight, mean_v = wv / weight;
    float sxx = 0, syy = 0, apart = 0;
    for (int y = 0; y < ctv_field_rows; y++)
        for (int x = 0; x < columns; x++)
        {
            int i = y * columns + x;
            if (speed[i] <= lively)
                continue;
            float dx = ((float)x - centre_x) * descriptor->pixel_width, dy = ((float)y - centre_y) / (float)ctv_field_rows;
            float du = u[i] - mean_u, dv = v[i] - mean_v;
            sxx += speed[i] * dx * dx;
            syy += speed[i] * dy * dy;
            apart += speed[i] * (du * du + dv * dv);
        }
    float width = sqrtf(sxx / weight), height = sqrtf(syy / weight);
    out = put(out, width);
    out = put(out, height);
    out = put(out, width / (height + 0.02f));
    out = put(out, weight / (float)movers);
    out = put(out, sqrtf(mean_u * mean_u + mean_v * mean_v) * weight / squares);
    out = put(out, sqrtf(apart / weight));
    return put(out, crowded / (float)movers);
}

// Grey levels: what changes, what the flow leaves unexplained, and both against the texture there.
static float *put_differences(float *out, const struct ctv_descriptor *descriptor, const float *from,
                              const float *difference, const float *residual, const float *pixels_moved, float *plane[])
{
    int columns = descriptor->columns, count = columns * ctv_field_rows;
    float *slope = plane[0], *down = plane[1], *contrast = plane[2], *scratch = plane[3], *ratio = plane[4], *blurred = plane[5];
    static const float levels[] = {1, 2, 3.5f, 6, 10, 17, 28, 48};
    struct ctv_spread changed = ctv_spread_of(difference, count), left = ctv_spread_of(residual, count);
    ctv_gradient(from, slope, down, columns, ctv_field_rows);
    lengths(slope, down, slope, count);
    float texture = 1.0f / (mean_of(slope, count) + 1.0f);

    out = put_spread(out, changed);
    out = put_histogram(out, difference, count, levels, 8);
    out = put_upper(out, changed, texture);
    out = put_spread(out, left);
    out = put(out, left.mean / (changed.mean + 0.3f));

    // Local standard deviation, without the rounding of a mean of squares less a squared mean.
    ctv_blur(from, blurred, scratch, columns, ctv_field_rows, 5);
    for (int i = 0; i < count; i++)
        contrast[i] = (from[i] - blurred[i]) * (from[i] - blurred[i]);
    ctv_blur(contrast, contrast, scratch, columns, ctv_field_rows, 5);
    for (int i = 0; i < count; i++)
        contrast[i] = 1.0f / (sqrtf(contrast[i]) + 3.0f);
    for (int i = 0; i < count; i++)
        ratio[i] = residual[i] * contrast[i];
    out = put_spread(out, ctv_spread_of(ratio, count));
    for (int i = 0; i < count; i++)
        ratio[i] = difference[i] * contrast[i];
    out = put_spread(out, ctv_spread_of(ratio, count));

    // The flow across edges, at two sizes.
    for (int i = 0; i < count; i++)
        ratio[i] = difference[i] / (slope[i] + 2.0f);
    out = put_spread(out, ctv_spread_of(ratio, count));
    ctv_blur(difference, blurred, scratch, columns, ctv_field_rows, 2);
    ctv_blur(slope, slope, scratch, columns, ctv_field_rows, 2);
    for (int i = 0; i < count; i++)
        ratio[i] = blurred[i] / (slope[i] + 2.0f);
    out = put_spread(out, ctv_spread_of(ratio, count));

    // Differences where the flow is large, and where there is none.
    float moved = mean_of(pixels_moved, count), dm = mean_product(difference, pixels_moved, count),
          rm = mean_product(residual, pixels_moved, count);
    float still = 0, quick = 0;
    int stills = 0, quicks = 0;
    for (int i = 0; i < count; i++)
    {
        bool is_still = pixels_moved[i] < 0.1f, is_quick = pixels_moved[i] > 0.6f;
        still += is_still ? difference[i] : 0;
        quick += is_quick ? difference[i] : 0;
        stills += is_still;
        quicks += is_quick;
    }
    float per_pixel = 1.0f / (moved + 1e-3f);
    out = put(out, dm);
    out = put(out, rm);
    out = put(out, dm * per_pixel);
    out = put(out, rm * per_pixel);
    out = put(out, stills > 0 ? still / (float)stills : 0);
    out = put(out, quicks > 0 ? quick / (float)quicks : 0);
    return out;
}

// How the flow itself changed since the pair before, place by place.
static float *put_acceleration(float *out, const struct ctv_descriptor *descriptor, float seconds, float *plane[])
{
    int columns = descriptor->columns, count = columns * ctv_field_rows;
    const float *u = descriptor->u, *v = descriptor->v, *speed = descriptor->speed;
    float *change = plane[0], *du = plane[1], *dv = plane[2], *scratch = plane[3], *length = plane[4];
    float rate = 1.0f / seconds;
    lengths_of_difference(u, v, descriptor->previous_u, descriptor->previous_v, rate, change, count);
    out = put_spread(out, ctv_spread_of(change, count));
    for (int i = 0; i < count; i++)
    {
        du[i] = (u[i] - descriptor->previous_u[i]) * rate;
        dv[i] = (v[i] - descriptor->previous_v[i]) * rate;
    }
    ctv_blur(du, du, scratch, columns, ctv_field_rows, 2);
    ctv_blur(dv, dv, scratch, columns, ctv_field_rows, 2);
    lengths(du, dv, length, count);
    out = put_spread(out, ctv_spread_of(length, count));

    lengths(u, v, length, count);
    float now = mean_of(length, count);
    lengths(descriptor->previous_u, descriptor->previous_v, length, count);
    float before = mean_of(length, count);
    out = put(out, mean_of(change, count) * seconds / (now + before + 0.01f));
    out = put(out, mean_product(speed, change, count) * seconds / (mean_product(speed, speed, count) + 1e-4f));

    for (int i = 0; i < count; i++)
        length[i] = fabsf(speed[i] - descriptor->previous_speed[i]);
    return put_upper(out, ctv_spread_of(length, count), 1);
}

// Two scenes have nothing in common: the warped picture is as far off as any other would be.
static bool is_cut(const float *from, const float *to, const float *residual, float *scratch, int count)
{
    float spread[2];
    const float *pictures[] = {from, to};
    for (int k = 0; k < 2; k++)
    {
        float mean = mean_of(pictures[k], count);
        for (int i = 0; i < count; i++)
            scratch[i] = fabsf(pictures[k][i] - mean);
        spread[k] = mean_of(scratch, count);
    }
    float larger = spread[0] > spread[1] ? spread[0] : spread[1];
    return mean_of(residual, count) > 12.0f + 0.5f * larger;
}

enum ctv_pair ctv_descriptor_of(struct ctv_descriptor *descriptor, const float *from, const float *to, double seconds,
                                float *features)
{
    static const float speeds[] = {.03f, .06f, .12f, .2f, .3f, .45f, .65f, .95f, 1.4f, 2};
    int columns = descriptor->columns, count = columns * ctv_field_rows;
    float *plane[planes];
    for (int i = 0; i < planes; i++)
        plane[i] = descriptor->memory + (size_t)i * count;
    float *small_from = plane[0], *small_to = plane[1], *pixels_u = plane[2], *pixels_v = plane[3], *residual = plane[4],
          *difference = plane[5], *moved = plane[6], *free_u = plane[7], *free_v = plane[8], *length = plane[9];
    float **work = plane + 10;

    ctv_halve(from, small_from, descriptor->luma_columns, ctv_luma_rows);
    ctv_halve(to, small_to, descriptor->luma_columns, ctv_luma_rows);
    ctv_flow_between(&descriptor->flow, small_from, small_to, pixels_u, pixels_v);
    ctv_warp(small_to, pixels_u, pixels_v, residual, columns, ctv_field_rows);
    for (int i = 0; i < count; i++)
    {
        residual[i] = fabsf(residual[i] - small_from[i]);
        difference[i] = fabsf(small_to[i] - small_from[i]);
    }
    if (is_cut(small_from, small_to, residual, length, count))
    {
        descriptor->has_previous = false;
        return ctv_pair_cut;
    }

    float *swap[] = {descriptor->u, descriptor->v, descriptor->speed};
    descriptor->u = descriptor->previous_u, descriptor->previous_u = swap[0];
    descriptor->v = descriptor->previous_v, descriptor->previous_v = swap[1];
    descriptor->speed = descriptor->previous_speed, descriptor->previous_speed = swap[2];
    float rate = 1.0f / (float)seconds, across = descriptor->pixel_width * rate, down = rate / (float)ctv_field_rows;
    for (int i = 0; i < count; i++)
    {
        descriptor->u[i] = pixels_u[i] * across;
        descriptor->v[i] = pixels_v[i] * down;
    }
    lengths(pixels_u, pixels_v, moved, count);
    float camera_u = ctv_median(descriptor->u, length, count), camera_v = ctv_median(descriptor->v, length, count);
    for (int i = 0; i < count; i++)
    {
        free_u[i] = descriptor->u[i] - camera_u;
        free_v[i] = descriptor->v[i] - camera_v;
    }
    lengths(descriptor->u, descriptor->v, length, count);
    lengths(free_u, free_v, descriptor->speed, count);

    float *out = features;
    out = put_spread(out, ctv_spread_of(length, count));
    out = put_histogram(out, length, count, speeds, 10);
    out = put_spread(out, ctv_spread_of(descriptor->speed, count));
    out = put_histogram(out, descriptor->speed, count, speeds, 10);
    out = put(out, sqrtf(camera_u * camera_u + camera_v * camera_v));
    for (int scale = 0; scale < 2; scale++)
    {
        float *u = work[8], *v = work[9];
        if (scale == 0)
        {
            ctv_soften(descriptor->u, u, work[0], columns, ctv_field_rows);
            ctv_soften(descriptor->v, v, work[0], columns, ctv_field_rows);
        }
        else
        {
            ctv_blur(descriptor->u, u, work[0], columns, ctv_field_rows, 2);
            ctv_blur(descriptor->v, v, work[0], columns, ctv_field_rows, 2);
        }
        out = put_derivatives(out, descriptor, u, v, work);
    }
    out = put_cells(out, descriptor->speed, columns);
    out = put_coherence(out, free_u, free_v, descriptor->speed, columns, 2, work);
    out = put_coherence(out, free_u, free_v, descriptor->speed, columns, 5, work);
    out = put_movers(out, descriptor, free_u, free_v, descriptor->speed, work);
    out = put_differences(out, descriptor, small_from, difference, residual, moved, work);
    bool whole = descriptor->has_previous;
    descriptor->has_previous = true;
    if (whole)
        put_acceleration(out, descriptor, (float)seconds, work);
    else
        memset(out, 0, ctv_acceleration_features * sizeof *out);
    return whole ? ctv_pair_whole : ctv_pair_first;
}
