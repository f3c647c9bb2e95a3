// begin_step          learning_rate ← *source, loss ← 0, correct ← 0
// update_loss_scale   step_loss_scale ← loss_scale; after an overflow the scale halves (≥ minimum) and the step counts as skipped; after `interval` good steps in a row it
//                     doubles (≤ maximum)
// restore_if_skipped  values ← before when a gradient was not finite
//
// Cost    the first two touch a few words in one thread: the time of a launch. restore_if_skipped reads one word, and 8 bytes an element only after an overflow.
// Order   one thread, or one thread an element: no reduction.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(32) begin_step(StepState *state, const float *learning_rate)
{
    state->learning_rate = *learning_rate;
    state->loss = 0.0f;
    state->correct = 0;
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
