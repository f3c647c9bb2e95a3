// Loops over planes of floats. Sums run in one order and the file is compiled without fused operations, so that every build
// and machine gives the same bits.
#include "motion.h"

#include <math.h>
#include <string.h>

static int clamp(int value, int most) { return value < 0 ? 0 : value > most ? most : value; }

void ctv_box(const float *source, float *target, float *scratch, int columns, int rows, int radius)
{
    float weight = 1.0f / (float)((2 * radius + 1) * (2 * radius + 1));
    for (int y = 0; y < rows; y++)
    {
        float *sum = scratch + (size_t)y * columns;
        memcpy(sum, source + (size_t)y * columns, (size_t)columns * sizeof *sum);
        for (int k = 1; k <= radius; k++)
        {
            const float *above = source + (size_t)clamp(y - k, rows - 1) * columns;
            const float *below = source + (size_t)clamp(y + k, rows - 1) * columns;
            for (int x = 0; x < columns; x++)
                sum[x] += above[x] + below[x];
        }
    }
    for (int y = 0; y < rows; y++)
    {
        float padded[ctv_most_columns + 32];
        const float *row = scratch + (size_t)y * columns;
        for (int k = 0; k < radius; k++)
        {
            padded[k] = row[0];
            padded[radius + columns + k] = row[columns - 1];
        }
        memcpy(padded + radius, row, (size_t)columns * sizeof *row);
        float *out = target + (size_t)y * columns;
        for (int x = 0; x < columns; x++)
            out[x] = padded[x + radius];
        for (int k = 1; k <= radius; k++)
        {
            const float *left = padded + radius - k, *right = padded + radius + k;
            for (int x = 0; x < columns; x++)
                out[x] += left[x] + right[x];
        }
        for (int x = 0; x < columns; x++)
            out[x] *= weight;
    }
}

void ctv_blur(const float *source, float *target, float *scratch, int columns, int rows, int radius)
{
    ctv_box(source, target, scratch, columns, rows, radius);
    ctv_box(target, target, scratch, columns, rows, radius);
}

void ctv_soften(const float *source, float *target, float *scratch, int columns, int rows)
{
    for (int y = 0; y < rows; y++)
    {
        const float *row = source + (size_t)y * columns;
        const float *above = source + (size_t)clamp(y - 1, rows - 1) * columns;
        const float *below = source + (size_t)clamp(y + 1, rows - 1) * columns;
        float *sum = scratch + (size_t)y * columns;
        for (int x = 0; x < columns; x++)
            sum[x] = 0.25f * (above[x] + below[x]) + 0.5f * row[x];
    }
    for (int y = 0; y < rows; y++)
    {
        const float *row = scratch + (size_t)y * columns;
        float *out = target + (size_t)y * columns;
        out[0] = 0.25f * (row[0] + row[1]) + 0.5f * row[0];
        for (int x = 1; x < columns - 1; x++)
            out[x] = 0.25f * (row[x - 1] + row[x + 1]) + 0.5f * row[x];
        out[columns - 1] = 0.25f * (row[columns - 2] + row[columns - 1]) + 0.5f * row[columns - 1];
    }
}

void ctv_gradient(const float *source, float *across, float *down, int columns, int rows)
{
    for (int y = 0; y < rows; y++)
    {
        const float *row = source + (size_t)y * columns;
        const float *above = source + (size_t)clamp(y - 1, rows - 1) * columns;
        const float *below = source + (size_t)clamp(y + 1, rows - 1) * columns;
        float *dx = across + (size_t)y * columns, *dy = down + (size_t)y * columns;
        for (int x = 0; x < columns; x++)
            dy[x] = 0.5f * (below[x] - above[x]);
        dx[0] = 0.5f * (row[1] - row[0]);
        for (int x = 1; x < columns - 1; x++)
            dx[x] = 0.5f * (row[x + 1] - row[x - 1]);
        dx[columns - 1] = 0.5f * (row[columns - 1] - row[columns - 2]);
    }
}

void ctv_halve(const float *source, float *target, int columns, int rows)
{
    for (int y = 0; y < rows / 2; y++)
    {
        const float *upper = source + (size_t)2 * y * columns, *lower = upper + columns;
        float *out = target + (size_t)y * (columns / 2);
        for (int x = 0; x < columns / 2; x++)
            out[x] = 0.25f * ((upper[2 * x] + upper[2 * x + 1]) + (lower[2 * x] + lower[2 * x + 1]));
    }
}

void ctv_warp(const float *source, const float *u, const float *v, float *target, int columns, int rows)
{
    float right = (float)(columns - 1), bottom = (float)(rows - 1);
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++)
        {
            size_t i = (size_t)y * columns + x;
            float px = (float)x + u[i], py = (float)y + v[i];
            px = px > 0 ? px < right ? px : right : 0;
            py = py > 0 ? py < bottom ? py : bottom : 0;
            int x0 = (int)px, y0 = (int)py;
            float fx = px - (float)x0, fy = py - (float)y0;
            const float *upper = source + (size_t)y0 * columns, *lower = upper + (y0 < rows - 1 ? columns : 0);
            int x1 = x0 < columns - 1 ? x0 + 1 : x0;
            float above = upper[x0] + fx * (upper[x1] - upper[x0]);
            float below = lower[x0] + fx * (lower[x1] - lower[x0]);
            target[i] = above + fy * (below - above);
        }
}

// Hoare's selection; equal numbers on both sides, so that a plane of one value does not take quadratic time.
float ctv_median(const float *source, float *scratch, int count)
{
    memcpy(scratch, source, (size_t)count * sizeof *source);
    int wanted = (count - 1) / 2, left = 0, right = count - 1;
    while (left < right)
    {
        float pivot = scratch[left + (right - left) / 2];
        int i = left, j = right;
        while (i <= j)
        {
            while (scratch[i] < pivot)
                i++;
            while (scratch[j] > pivot)
                j--;
            if (i <= j)
            {
                float swapped = scratch[i];
                scratch[i++] = scratch[j];
                scratch[j--] = swapped;
            }
        }
        if (wanted <= j)
            right = j;
        else if (wanted >= i)
            left = i;
        else
            break;
    }
    return scratch[wanted];
}

enum
{
    bins_an_octave = 16, // the bits of a float from the fifth bit of its fraction upwards number the bins
    bin_shift = 19,
    octaves = 23,
    lowest_exponent = 127 - 10
};

static float bin_start(int bin)
{
    int32_t bits = (bin + lowest_exponent * bins_an_octave) * (1 << bin_shift);
    float value;
    memcpy(&value, &bits, sizeof value);
    return bin == 0 ? 0 : value;
}

struct ctv_spread ctv_spread_of(const float *source, int count)
{
    int32_t held[octaves * bins_an_octave] = {0};
    float sum = 0;
    int32_t zeros = 0;
    for (int i = 0; i < count; i++)
    {
        int32_t bits;
        memcpy(&bits, source + i, sizeof bits);
        sum += source[i];
        zeros += bits == 0;
        held[clamp((bits >> bin_shift) - lowest_exponent * bins_an_octave, octaves * bins_an_octave - 1)]++;
    }
    static const float shares[] = {0.5f, 0.75f, 0.9f, 0.97f, 0.995f};
    float quantiles[5];
    held[0] -= zeros;
    int bin = 0;
    int32_t before = zeros;
    for (int q = 0; q < 5; q++)
    {
        float rank = shares[q] * (float)count;
        if (rank <= (float)zeros)
        {
            quantiles[q] = 0;
            continue;
        }
        while (bin < octaves * bins_an_octave - 1 && (float)(before + held[bin]) < rank)
            before += held[bin++];
        float inside = held[bin] > 0 ? (rank - (float)before) / (float)held[bin] : 0;
        quantiles[q] = bin_start(bin) + (inside < 1 ? inside : 1) * (bin_start(bin + 1) - bin_start(bin));
    }
    return (struct ctv_spread){sum / (float)count, quantiles[0], quantiles[1], quantiles[2], quantiles[3], quantiles[4]};
}

// log m = 2 artanh((m - 1) / (m + 1)) for a fraction m near 1; the series is exact to float there.
float ctv_compress(float x)
{
    double y = 1.0 + 20.0 * (double)x;
    int64_t bits;
    memcpy(&bits, &y, sizeof bits);
    int64_t exponent = (bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFF) | ((int64_t)1023 << 52);
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951)
    {
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1.0) / (m + 1.0), t = s * s;
    double series = 1.0 + t * (1.0 / 3 + t * (1.0 / 5 + t * (1.0 / 7 + t * (1.0 / 9 + t * (1.0 / 11)))));
    return (float)(2.0 * s * series + 0.6931471805599453 * (double)exponent);
}
