// prepare_adam  t ← t + 1; step = lr·√(1−β₂ᵗ)/(1−β₁ᵗ); clip = min(1, bound/norm of all gradients)
// adam_step     g' = g·clip; m ← m + (1−β₁)(g' − m); v ← v + (1−β₂)(g'² − v); p ← p − step·m/(√v + ε); a half copy of p where there is one
// Nothing changes, t included, when the step state says that a gradient is not finite. Adam in Keras's form: Kingma and Ba 2015, section 2, last paragraph.
//
// Shapes  p, g, m, v [n] float, halves [n]; segments [P + 1] int64, norms [P] float.
// Cost    16 bytes read and 12 (with halves 14) written, 13 FLOPs a parameter: bound by memory. 2.5 M parameters: 75 MB.
// Access  16 bytes of each array a thread where all are aligned, else element by element; a grid-stride loop.
// Order   every element is computed by one thread; the coefficients are worked out once, by the one thread that also counts the step: no race and no atomics.
#include "common.cuh"

struct AdamCoefficients
{
    float step_size;
    float clip;
    int skipped;
};

// βᵗ by repeated squaring.
__device__ __forceinline__ double power(double base, int exponent)
{
    double result = 1.0;
    for (; exponent > 0; exponent >>= 1)
    {
        result *= exponent & 1 ? base : 1.0;
        base *= base;
    }

    return result;
}

__device__ __forceinline__ float clip_factor(float bound, float norm)
{
    return norm <= bound ? 1.0f : bound / norm;
}

extern "C" __global__ void __launch_bounds__(32) prepare_adam(
    StepState *state, AdamCoefficients *coefficients, double beta1, double beta2, float bound, int clips_globally)
{
    coefficients->skipped = state->found_non_finite;
    if (state->found_non_finite != 0)
    {
        return;
    }

    int t = state->adam_steps + 1;
    state->adam_steps = t;
    coefficients->step_size = (float)(state->learning_rate * (sqrt(1.0 - power(beta2, t)) / (1.0 - power(beta1, t))));
    coefficients->clip = clips_globally ? clip_factor(bound, state->gradient_norm) : 1.0f;
}

// `parameters` is 0 unless each parameter is clipped on its own.
extern "C" __global__ void __launch_bounds__(256) adam_step(
    i64 count, int parameters, float *__restrict__ weights, const float *__restrict__ gradients, float *__restrict__ first_moments, float *__restrict__ second_moments,
    const i64 *__restrict__ segments, const float *__restrict__ norms, half *__restrict__ halves, const AdamCoefficients *__restrict__ coefficients, float new_first,
    float new_second, float epsilon, float bound, int aligned)
{
    if (coefficients->skipped)
    {
        return;
    }

    float step_size = coefficients->step_size, clip = coefficients->clip;
    for (i64 first = first_item() * 4; first < count; first += item_stride() * 4)
    {
        i64 available = count - first;
        float p[4], g[4], m[4], v[4];
        load_group(gradients + first, available, aligned, g);
        load_group(first_moments + first, available, aligned, m);
        load_group(second_moments + first, available, aligned, v);
        load_group(weights + first, available, aligned, p);

        // The last parameter that begins at or before the group.
        int parameter = 0;
        for (int high = parameters; high - parameter > 1;)
        {
            int middle = (parameter + high) / 2;
            if (segments[middle] <= first)
            {
                parameter = middle;
            }
            else
            {
                high = middle;
            }
        }

#pragma unroll
        for (int lane = 0; lane < 4; lane++)
        {
            if (parameters > 0 && lane < available)
            {
                while (segments[parameter + 1] <= first + lane)
                {
                    parameter++;
                }

                clip = clip_factor(bound, norms[parameter]);
            }

            float gradient = g[lane] * clip;
            m[lane] = fmaf(gradient - m[lane], new_first, m[lane]);
            v[lane] = fmaf(fmaf(gradient, gradient, -v[lane]), new_second, v[lane]);
            p[lane] = fmaf(-step_size, m[lane] / (sqrtf(v[lane]) + epsilon), p[lane]);
        }

        store_group(first_moments + first, available, aligned, m);
        store_group(second_moments + first, available, aligned, v);
        store_group(weights + first, available, aligned, p);
        if (halves != nullptr)
        {
            if (aligned && available >= 4)
            {
                *(uint2 *)(halves + first) = make_uint2(pack_halves(p[0], p[1]), pack_halves(p[2], p[3]));
            }
            else
            {
#pragma unroll
                for (int lane = 0; lane < 4; lane++)
                {
                    if (lane < available)
                    {
                        halves[first + lane] = from_float<half>(p[lane]);
                    }
                }
            }
        }
    }
}
