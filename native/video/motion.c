// From pictures with time stamps to pairs of pictures, and from pairs to a fixed number of steps of time.
#include "motion.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pairs_a_second = 15;
static const double longest_step = 10; // seconds; time stamps further apart than that have jumped

enum
{
    ranges = 2, // mean, standard deviation
    first_acceleration = CTV_MOTION_FEATURES - ctv_acceleration_features
};

int ctv_motion_columns(int width, int height)
{
    double eighths = (double)ctv_luma_rows * width / height / 8;
    int columns = eighths < ctv_most_columns ? 8 * (int)(eighths + 0.5) : ctv_most_columns;
    return columns < ctv_least_columns ? ctv_least_columns : columns > ctv_most_columns ? ctv_most_columns : columns;
}

bool ctv_motion_wants(struct ctv_motion *motion, double stamp, double frame_seconds)
{
    double step = motion->frames == 0 ? frame_seconds : stamp - motion->stamp;
    if (!(step > 0 && step < longest_step))
        step = frame_seconds;
    motion->stamp = stamp;
    motion->clock = motion->frames == 0 ? 0 : motion->clock + step;
    // The nearest to the wished for distance: every round(rate / 15)-th frame of a constant rate.
    return motion->frames++ == 0 || motion->clock - motion->taken + 0.5 * step >= 1 / pairs_a_second;
}

float *ctv_motion_room(struct ctv_motion *motion, int width, int height)
{
    if (!motion->current)
    {
        motion->columns = ctv_motion_columns(width, height);
        size_t count = (size_t)motion->columns * ctv_luma_rows;
        motion->current = malloc(count * sizeof *motion->current);
        motion->previous = malloc(count * sizeof *motion->previous);
        if (!motion->current || !motion->previous ||
            !ctv_descriptor_open(&motion->descriptor, motion->columns, (double)width / height))
            return NULL;
    }
    return motion->current;
}

// Room for one more pair.
static bool grow(struct ctv_motion *motion)
{
    if (motion->pairs < motion->capacity)
        return true;
    int64_t capacity = motion->capacity > 0 ? 2 * motion->capacity : 128;
    double *starts = realloc(motion->starts, (size_t)capacity * sizeof *starts);
    motion->starts = starts ? starts : motion->starts;
    double *ends = realloc(motion->ends, (size_t)capacity * sizeof *ends);
    motion->ends = ends ? ends : motion->ends;
    float *features = realloc(motion->features, (size_t)capacity * CTV_MOTION_FEATURES * sizeof *features);
    motion->features = features ? features : motion->features;
    if (!starts || !ends || !features)
        return false;
    motion->capacity = capacity;
    return true;
}

bool ctv_motion_take(struct ctv_motion *motion)
{
    bool is_pair = motion->pictures++ > 0;
    double before = motion->taken;
    motion->taken = motion->clock;
    if (is_pair)
    {
        if (!grow(motion))
            return false;
        float *features = motion->features + motion->pairs * CTV_MOTION_FEATURES;
        enum ctv_pair kind =
            ctv_descriptor_of(&motion->descriptor, motion->previous, motion->current, motion->clock - before, features);
        if (kind == ctv_pair_cut)
            motion->cuts++;
        else
        {
            for (int i = first_acceleration; i < CTV_MOTION_FEATURES && kind == ctv_pair_first; i++)
                features[i] = NAN;
            motion->starts[motion->pairs] = before;
            motion->ends[motion->pairs++] = motion->clock;
        }
    }
    float *swap = motion->previous;
    motion->previous = motion->current;
    motion->current = swap;
    return true;
}

void ctv_motion_close(struct ctv_motion *motion)
{
    if (motion->descriptor.memory)
        ctv_descriptor_close(&motion->descriptor);
    free(motion->previous);
    free(motion->current);
    free(motion->starts);
    free(motion->ends);
    free(motion->features);
    *motion = (struct ctv_motion){0};
}

// Feature `i` of a pair. The first of a scene has no acceleration: that of the pair after it stands in, or none.
static double feature_of(const float *features, int64_t pairs, int64_t pair, int i)
{
    float value = features[pair * CTV_MOTION_FEATURES + i];
    if (isnan(value) && pair + 1 < pairs)
        value = features[(pair + 1) * CTV_MOTION_FEATURES + i];
    return isnan(value) ? 0 : (double)value;
}

void ctv_motion_steps(const double *starts, const double *ends, const float *features, int64_t pairs, double from, double to,
                      int32_t steps, float *out)
{
    const size_t width = ranges * CTV_MOTION_FEATURES;
    memset(out, 0, (size_t)steps * width * sizeof *out);
    int64_t first = 0;
    int32_t filled = 0; // steps in front of this one have numbers of their own or of a neighbour
    bool any = false;
    for (int32_t step = 0; step < steps; step++)
    {
        double begin = from + (to - from) * step / steps, end = from + (to - from) * (step + 1) / steps;
        while (first < pairs && ends[first] <= begin)
            first++;
        int64_t last = first;
        double weight = 0;
        for (; last < pairs && starts[last] < end; last++)
            weight += fmin(ends[last], end) - fmax(starts[last], begin);
        if (!(weight > 0))
            continue;
        float *mean = out + (size_t)step * width, *deviation = mean + CTV_MOTION_FEATURES;
        for (int i = 0; i < CTV_MOTION_FEATURES; i++)
        {
            double sum = 0, squares = 0;
            for (int64_t pair = first; pair < last; pair++)
                sum += (fmin(ends[pair], end) - fmax(starts[pair], begin)) * feature_of(features, pairs, pair, i);
            double middle = sum / weight;
            for (int64_t pair = first; pair < last; pair++)
            {
                double apart = feature_of(features, pairs, pair, i) - middle;
                squares += (fmin(ends[pair], end) - fmax(starts[pair], begin)) * apart * apart;
            }
            mean[i] = (float)middle;
            deviation[i] = (float)sqrt(squares / weight);
        }
        // Steps without a pair take the nearest that has one; of two as near the earlier.
        for (int32_t empty = filled; empty < step; empty++)
        {
            bool takes_earlier = any && empty - (filled - 1) <= step - empty;
            memcpy(out + (size_t)empty * width, out + (size_t)(takes_earlier ? filled - 1 : step) * width, width * sizeof *out);
        }
        filled = step + 1;
        any = true;
    }
    for (int32_t empty = filled; any && empty < steps; empty++)
        memcpy(out + (size_t)empty * width, out + (size_t)(filled - 1) * width, width * sizeof *out);
}
