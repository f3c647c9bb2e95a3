// begin_step          learning_rate ← orders[0], stop_requests ← orders[1], loss ← 0, correct ← 0
// write_shared        shared ← [loss, correct, stop_requests, 0, buffers·share…]: what a replica adds to a sum over all of them
// read_shared         the opposite, for that sum
// update_loss_scale   step_loss_scale ← loss_scale; after an overflow the scale halves (≥ minimum) and the step counts as skipped; after `interval` good steps in a row it
//                     doubles (≤ maximum)
// restore_if_skipped  values ← before when a gradient was not finite
//
// Cost    begin_step and update_loss_scale touch a few words in one thread, write_shared and read_shared some kilobytes: the time of a launch. restore_if_skipped reads one word, and 8 bytes an element only after an overflow.
// Order   one thread, or one thread an element: no reduction.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(32) begin_step(StepState *state, const float *orders)
{
    state->learning_rate = orders[0];
    state->stop_requests = orders[1];
    state->loss = 0.0f;
    state->correct = 0;
}

extern "C" __global__ void __launch_bounds__(256) write_shared(
    const StepState *__restrict__ state, int count, const float *__restrict__ buffers, float share, float *__restrict__ shared)
{
    for (i64 i = first_item(); i < count + 4; i += item_stride())
    {
        float value = 0.0f;
        if (i >= 4)
        {
            // An idle replica's buffers may hold anything; 0·NaN would be NaN.
            value = share == 0.0f ? 0.0f : buffers[i - 4] * share;
        }
        else if (i < 3)
        {
            value = i == 0 ? state->loss : i == 1 ? (float)state->correct : state->stop_requests;
        }

        shared[i] = value;
    }
}

extern "C" __global__ void __launch_bounds__(256) read_shared(const float *__restrict__ shared, StepState *__restrict__ state, int count, float *__restrict__ buffers)
{
    for (i64 i = first_item(); i < count + 4; i += item_stride())
    {
        float value = shared[i];
        if (i >= 4)
        {
            buffers[i - 4] = value;
        }
        else if (i == 0)
        {
            state->loss = value;
        }
        else if (i == 1)
        {
            state->correct = (int)value;
        }
        else if (i == 2)
        {
            state->stop_requests = value;
        }
    }
}

extern "C" __global__ void __launch_bounds__(32) update_loss_scale(StepState *state, int enabled, int interval, float minimum, float maximum)
{
    float scale = state->loss_scale;
    state->step_loss_scale = scale;
    if (state->found_non_finite != 0)
    {
        state->skipped_steps++;
        state->consecutive_skips++;
        state->good_steps = 0;
        state->loss_scale = enabled ? fmaxf(scale * 0.5f, minimum) : scale;
        return;
    }

    state->consecutive_skips = 0;
    int good = state->good_steps + 1;
    bool grows = enabled && good >= interval;
    state->good_steps = grows ? 0 : good;
    state->loss_scale = grows ? fminf(scale * 2.0f, maximum) : scale;
}

extern "C" __global__ void __launch_bounds__(256) restore_if_skipped(
    i64 count, float *__restrict__ values, const float *__restrict__ before, const StepState *__restrict__ state, int aligned)
{
    if (state->found_non_finite == 0)
    {
        return;
    }

    for (i64 first = first_item() * 4; first < count; first += item_stride() * 4)
    {
        float group[4];
        load_group(before + first, count - first, aligned, group);
        store_group(values + first, count - first, aligned, group);
    }
}
