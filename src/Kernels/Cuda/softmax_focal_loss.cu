// With p = softmax(logits) and smoothed target y' = y(1−s) + s/C, sample b of class y:
//   ℓ = w_y·Σ_c α_c·y'_c·(1−p_c)^γ·(−log p_c), or w_y·Σ_c y'_c·(−log p_c) without the focal factors
//   dlogits_j = w_y·scale·loss_scale·(slope_j·(1−p_j) − p_j·Σ_{c≠j} slope_c), slope_c = ∂ℓ/∂log p_c
// and into the step state: loss += scale·Σℓ, correct += samples whose largest logit (the last of equals) is their label's.
//
// Shapes  logits, dlogits [B, C] float or half; labels [B] int; weights, alpha [C]; losses [B]; probabilities [B, C] float.
// Cost    B·C·(2 or 4) bytes read, B·C·(6 or 8) written, some 60 FLOPs an element. A batch is 64×2: bound by latency, a few microseconds.
// Access  one block; a thread has a sample and walks along its classes.
// Order   samples belong to threads by number, then butterflies and warps in order: fixed for every batch. Sums are double, everything else float.
#include "common.cuh"

// log p, p and 1 − p of one row, each without cancellation or overflow.
template <typename T>
struct LogSoftmax
{
    const T *logits;
    int largest;
    int last_largest;
    float maximum;
    float others;
    float log_sum;

    __device__ __forceinline__ LogSoftmax(const T *row, int classes) : logits(row), largest(0), last_largest(0), maximum(to_float(row[0])), others(0.0f)
    {
        for (int c = 1; c < classes; c++)
        {
            float value = to_float(row[c]);
            last_largest = value >= maximum ? c : last_largest;
            largest = value > maximum ? c : largest;
            maximum = value > maximum ? value : maximum;
        }

        for (int c = 0; c < classes; c++)
        {
            others += c == largest ? 0.0f : expf(to_float(row[c]) - maximum);
        }

        log_sum = log1pf(others);
    }

    __device__ __forceinline__ float log_probability(int c) const
    {
        return to_float(logits[c]) - maximum - log_sum;
    }

    __device__ __forceinline__ float complement(int c, float probability) const
    {
        return c == largest ? others / (1.0f + others) : 1.0f - probability;
    }
};

struct LossTerm
{
    float value;
    float slope;
    float probability;
    float complement;
};

// Class c's summand of the loss, and its derivative by log p_c.
template <typename T>
__device__ __forceinline__ LossTerm loss_term(const LogSoftmax<T> &softmax, int c, float target, float alpha, bool focal, float gamma)
{
    LossTerm term;
    float log_p = softmax.log_probability(c);
    term.probability = expf(log_p);
    term.complement = softmax.complement(c, term.probability);
    if (focal)
    {
        float focus = gamma == 2.0f ? term.complement * term.complement : powf(term.complement, gamma);
        // d/d(log p) of q^γ·(−log p) is q^γ·(γ·p·log p/q − 1); p·log p/q → −1 as q → 0.
        float ratio = term.complement > 0.0f ? term.probability * log_p / term.complement : -1.0f;
        term.value = target * alpha * focus * -log_p;
        term.slope = target * alpha * focus * (gamma * ratio - 1.0f);
    }
    else
    {
        term.value = target * -log_p;
        term.slope = -target;
    }

    return term;
}

template <typename T>
__device__ __forceinline__ void softmax_focal_loss(
    int batch, int classes, const T *__restrict__ logits, const int *__restrict__ labels, const float *__restrict__ class_weights, const float *__restrict__ alpha,
    float *__restrict__ losses, float *__restrict__ probabilities, T *__restrict__ d_logits, StepState *state, float scale, bool focal, float gamma, float smoothing)
{
    __shared__ double loss_parts[8];
    __shared__ int correct_parts[8];
    float gradient_scale = scale * state->loss_scale;
    double loss_sum = 0.0;
    int correct = 0;
    for (int sample = threadIdx.x; sample < batch; sample += blockDim.x)
    {
        i64 row = (i64)sample * classes;
        LogSoftmax<T> softmax(logits + row, classes);
        int label = labels[sample];
        float weight = class_weights[label];
        double loss = 0.0, slopes = 0.0;
        for (int c = 0; c < classes; c++)
        {
            float target = (c == label ? 1.0f - smoothing : 0.0f) + smoothing / (float)classes;
            LossTerm term = loss_term(softmax, c, target, alpha[c], focal, gamma);
            loss += term.value;
            slopes += term.slope;
            probabilities[row + c] = term.probability;
        }

        float weighted = (float)(weight * loss);
        losses[sample] = weighted;
        loss_sum += weighted;
        correct += softmax.last_largest == label ? 1 : 0;
        if (d_logits == nullptr)
        {
            continue;
        }

        // log p_c depends on z_j by δ_cj − p_j.
        for (int j = 0; j < classes; j++)
        {
            float target = (j == label ? 1.0f - smoothing : 0.0f) + smoothing / (float)classes;
            LossTerm term = loss_term(softmax, j, target, alpha[j], focal, gamma);
            float gradient = term.slope * term.complement - term.probability * (float)(slopes - term.slope);
            d_logits[row + j] = from_float<T>(weight * gradient_scale * gradient);
        }
    }

    double total = block_sum(loss_sum, loss_parts);
    int total_correct = block_sum(correct, correct_parts);
    if (threadIdx.x == 0)
    {
        state->loss += (float)(total * scale);
        state->correct += total_correct;
    }
}

#define SOFTMAX_FOCAL_LOSS(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) softmax_focal_loss_##SUFFIX( \
        int batch, int classes, const T *logits, const int *labels, const float *class_weights, const float *alpha, float *losses, float *probabilities, T *d_logits, \
        StepState *state, float scale, int focal, float gamma, float smoothing) \
    { \
        softmax_focal_loss<T>( \
            batch, classes, logits, labels, class_weights, alpha, losses, probabilities, d_logits, state, scale, focal != 0, gamma, smoothing); \
    }

SOFTMAX_FOCAL_LOSS(float, f32)
SOFTMAX_FOCAL_LOSS(half, f16)
