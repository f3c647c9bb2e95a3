// Dense optical flow after Lucas and Kanade (1981), coarse to fine over levels that halve down to 7 rows. With g the gradient
// of the first picture, f the flow so far and e = to(x + f) - from(x), each round solves at every pixel
//
//   (Σ g gᵀ + λ I) F = Σ g (g · f - e) + λ mean f        sums and mean over a window of 7 × 7 pixels (two boxes)
//
// for the new flow F. What the window sees of texture decides; without any, the flow of its surroundings stays.
#include "motion.h"

#include <stdlib.h>
#include <string.h>

enum
{
    most_levels = 4,
    least_side = 6,
    rounds = 4,
    window = 2,
    planes = 11
};

// In squared grey levels a pixel, against a mean of squared gradients: below it a window counts as without texture.
static const float stiffness = 2.0f;
static const float most_step = 2.0f; // pixels a round

bool ctv_flow_open(struct ctv_flow *flow, int columns, int rows)
{
    *flow = (struct ctv_flow){columns, rows, NULL};
    // The pyramids take 4/3 of a plane each.
    flow->memory = calloc((size_t)columns * rows * (planes + 4), sizeof *flow->memory);
    return flow->memory != NULL;
}

void ctv_flow_close(struct ctv_flow *flow)
{
    free(flow->memory);
    flow->memory = NULL;
}

// The flow of a level half the size, at this one.
static void enlarge(const float *coarse, int coarse_columns, int coarse_rows, float *fine, int columns, int rows)
{
    for (int y = 0; y < rows; y++)
    {
        float py = ((float)y - 0.5f) * 0.5f;
        py = py > 0 ? py < (float)(coarse_rows - 1) ? py : (float)(coarse_rows - 1) : 0;
        int y0 = (int)py, y1 = y0 < coarse_rows - 1 ? y0 + 1 : y0;
        float fy = py - (float)y0;
        const float *upper = coarse + (size_t)y0 * coarse_columns, *lower = coarse + (size_t)y1 * coarse_columns;
        for (int x = 0; x < columns; x++)
        {
            float px = ((float)x - 0.5f) * 0.5f;
            px = px > 0 ? px < (float)(coarse_columns - 1) ? px : (float)(coarse_columns - 1) : 0;
            int x0 = (int)px, x1 = x0 < coarse_columns - 1 ? x0 + 1 : x0;
            float fx = px - (float)x0;
            float above = upper[x0] + fx * (upper[x1] - upper[x0]), below = lower[x0] + fx * (lower[x1] - lower[x0]);
            fine[(size_t)y * columns + x] = 2.0f * (above + fy * (below - above));
        }
    }
}

static void refine(const float *from, const float *to, float *u, float *v, float *memory, int columns, int rows)
{
    size_t count = (size_t)columns * rows;
    float *plane[planes];
    for (int i = 0; i < planes; i++)
        plane[i] = memory + (size_t)i * count;
    float *gx = plane[0], *gy = plane[1], *xx = plane[2], *xy = plane[3], *yy = plane[4], *warped = plane[5], *bu = plane[6],
          *bv = plane[7], *mean_u = plane[8], *mean_v = plane[9], *scratch = plane[10];

    ctv_gradient(from, gx, gy, columns, rows);
    for (size_t i = 0; i < count; i++)
    {
        xx[i] = gx[i] * gx[i];
        xy[i] = gx[i] * gy[i];
        yy[i] = gy[i] * gy[i];
    }
    ctv_blur(xx, xx, scratch, columns, rows, window);
    ctv_blur(xy, xy, scratch, columns, rows, window);
    ctv_blur(yy, yy, scratch, columns, rows, window);

    for (int round = 0; round < rounds; round++)
    {
        ctv_warp(to, u, v, warped, columns, rows);
        for (size_t i = 0; i < count; i++)
        {
            float along = gx[i] * u[i] + gy[i] * v[i] - (warped[i] - from[i]);
            bu[i] = gx[i] * along;
            bv[i] = gy[i] * along;
        }
        ctv_blur(bu, bu, scratch, columns, rows, window);
        ctv_blur(bv, bv, scratch, columns, rows, window);
        ctv_blur(u, mean_u, scratch, columns, rows, window);
        ctv_blur(v, mean_v, scratch, columns, rows, window);
        for (size_t i = 0; i < count; i++)
        {
            float a = xx[i] + stiffness, b = xy[i], c = yy[i] + stiffness;
            float p = bu[i] + stiffness * mean_u[i], q = bv[i] + stiffness * mean_v[i];
            float scale = 1.0f / (a * c - b * b);
            float du = (c * p - b * q) * scale - u[i], dv = (a * q - b * p) * scale - v[i];
            u[i] += du < -most_step ? -most_step : du > most_step ? most_step : du;
            v[i] += dv < -most_step ? -most_step : dv > most_step ? most_step : dv;
        }
    }
}

void ctv_flow_between(struct ctv_flow *flow, const float *from, const float *to, float *u, float *v)
{
    size_t count = (size_t)flow->columns * flow->rows;
    float *coarse_u = flow->memory + planes * count, *coarse_v = coarse_u + count / 2;
    float *pyramid = coarse_v + count / 2;
    const float *first[most_levels] = {from}, *second[most_levels] = {to};
    int columns[most_levels] = {flow->columns}, rows[most_levels] = {flow->rows}, level = 0;
    for (; level + 1 < most_levels && columns[level] / 2 >= least_side && rows[level] / 2 >= least_side; level++)
    {
        columns[level + 1] = columns[level] / 2;
        rows[level + 1] = rows[level] / 2;
        size_t size = (size_t)columns[level + 1] * rows[level + 1];
        ctv_halve(first[level], pyramid, columns[level], rows[level]);
        first[level + 1] = pyramid;
        ctv_halve(second[level], pyramid + size, columns[level], rows[level]);
        second[level + 1] = pyramid + size;
        pyramid += 2 * size;
    }
    memset(u, 0, count * sizeof *u);
    memset(v, 0, count * sizeof *v);
    for (;;)
    {
        refine(first[level], second[level], u, v, flow->memory, columns[level], rows[level]);
        if (level == 0)
            return;
        size_t bytes = (size_t)columns[level] * rows[level] * sizeof *u;
        memcpy(coarse_u, u, bytes);
        memcpy(coarse_v, v, bytes);
        enlarge(coarse_u, columns[level], rows[level], u, columns[level - 1], rows[level - 1]);
        enlarge(coarse_v, columns[level], rows[level], v, columns[level - 1], rows[level - 1]);
        level--;
    }
}
