// The recurrent part of a GRU layer over whole sequences from zero state, in the form whose reset gate acts behind the product; a step of sequence b:
//   forward   r, z = σ(x·W_ihᵀ (given) + b_ih + h·W_hhᵀ + b_hh); m = h·W_hnᵀ + b_hn; n = tanh(x·W_inᵀ + b_in + r·m); h ← (1−z)·n + z·h
//   backward  dh += dy; dn = dh·(1−z)·(1−n²); dz = dh·(h_prev − n)·z(1−z); dr = dn·m·r(1−r); by x: (dr, dz, dn), by h: (dr, dz, dn·r); dh ← dh·z + (dr, dz, dn·r)·W_hh
//
// Shapes  from_input, d_input, d_hidden [B, T, 3H], saved (r, z, n, m) [B, T, 4H], y, dy [B, T, H], W_hh [3H, H] float or half; biases [3H] float. Gate blocks r, z, n.
// Cost    6·H² FLOPs a step, sequence and direction; from memory 8H elements forward, 12H backward. Bound by the chain of T dependent steps, as lstm.cu.
// Access  recurrent.cuh. What the next step reads from memory is fetched before the products of this one (with the weights in registers).
// Order   one block for a sequence; products sum in an order fixed by H; no atomics. Weight gradients are matrix products outside.
#include "recurrent.cuh"

struct Saved
{
    float r, z, n, m;
};

struct GateGradients
{
    float r, z, n, m;
};

// Complete dh in; the part of it that the state passes on directly out.
__device__ __forceinline__ GateGradients gate_gradients(const Saved &saved, float before, float dh, float &direct)
{
    GateGradients gradient;
    gradient.n = dh * (1.0f - saved.z) * (1.0f - saved.n * saved.n);
    gradient.z = dh * (before - saved.n) * saved.z * (1.0f - saved.z);
    gradient.r = gradient.n * saved.m * saved.r * (1.0f - saved.r);
    gradient.m = gradient.n * saved.r;
    direct = dh * saved.z;
    return gradient;
}

template <typename T>
__device__ __forceinline__ Saved load_saved(const T *row, int hidden)
{
    Saved saved;
    saved.r = to_float(row[0]);
    saved.z = to_float(row[hidden]);
    saved.n = to_float(row[2 * hidden]);
    saved.m = to_float(row[3 * hidden]);
    return saved;
}

template <typename T>
__device__ __forceinline__ void store_gradients(T *d_input, T *d_hidden, int hidden, const GateGradients &gradient)
{
    d_input[0] = d_hidden[0] = from_float<T>(gradient.r);
    d_input[hidden] = d_hidden[hidden] = from_float<T>(gradient.z);
    d_input[2 * hidden] = from_float<T>(gradient.n);
    d_hidden[2 * hidden] = from_float<T>(gradient.m);
}

extern "C" __global__ void __launch_bounds__(384, 1) gru_forward_registers_f16(
    int time, int hidden, const half *__restrict__ from_input, const float *__restrict__ bias_input, const float *__restrict__ bias_hidden,
    const half *__restrict__ weights, half *y, half *saved, int reverse)
{
    alignas(16) __shared__ float state[register_hidden];
    __shared__ float gates[4][register_hidden];
    int unit = threadIdx.x % register_hidden, gate = threadIdx.x / register_hidden, row = gate * hidden + unit;
    bool active = unit < hidden, finishes = active && gate == 0;
    i64 first_row = (i64)blockIdx.x * time;
    const half *own_input = from_input + first_row * 3 * hidden + row;

    unsigned kept[register_hidden / 2];
    clear(kept);
    float input_offset = 0.0f, hidden_offset = 0.0f, next = 0.0f, h = 0.0f;
    if (active)
    {
        load_row(weights + (i64)row * hidden, hidden, kept);
        input_offset = bias_input[row];
        hidden_offset = bias_hidden[row];
        next = to_float(own_input[(i64)time_of(0, time, reverse) * 3 * hidden]);
    }

    if (gate == 0)
    {
        state[unit] = 0.0f;
    }

    __syncthreads();
    for (int step = 0; step < time; step++)
    {
        i64 place = first_row + time_of(step, time, reverse);
        float input = next + input_offset;
        if (active && step + 1 < time)
        {
            next = to_float(own_input[(i64)time_of(step + 1, time, reverse) * 3 * hidden]);
        }

        float recurrent = dot(kept, state, hidden) + hidden_offset;
        half *own_saved = saved + place * 4 * hidden + unit;
        if (gate == 2)
        {
            gates[2][unit] = input;
            gates[3][unit] = recurrent;
            if (active)
            {
                own_saved[3 * hidden] = from_float<half>(recurrent);
            }
        }
        else
        {
            float value = sigmoid(input + recurrent);
            gates[gate][unit] = value;
            if (active)
            {
                own_saved[gate * hidden] = from_float<half>(value);
            }
        }

        __syncthreads();
        if (finishes)
        {
            float n = tanhf(gates[2][unit] + gates[0][unit] * gates[3][unit]), z = gates[1][unit];
            h = n + z * (h - n);
            state[unit] = h;
            own_saved[2 * hidden] = from_float<half>(n);
            y[place * hidden + unit] = from_float<half>(h);
        }

        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(384, 1) gru_backward_registers_f16(
    int time, int hidden, const half *__restrict__ dy, const half *__restrict__ y, const half *__restrict__ saved, const half *__restrict__ weights, half *d_input,
    half *d_hidden, int reverse)
{
    alignas(16) __shared__ float gradients[3][register_hidden];
    __shared__ float parts[3][register_hidden];
    int unit = threadIdx.x % register_hidden, gate = threadIdx.x / register_hidden;
    bool active = unit < hidden, finishes = active && gate == 0;
    i64 first_row = (i64)blockIdx.x * time;

    unsigned kept[register_hidden / 2];
    clear(kept);
    if (active)
    {
        load_column(weights + (i64)gate * hidden * hidden + unit, hidden, kept);
    }

    gradients[gate][unit] = 0.0f;
    parts[gate][unit] = 0.0f;

    // What the step reads from memory, fetched one step ahead.
    Saved next = {};
    float next_dy = 0.0f, before = 0.0f, direct = 0.0f;
    if (finishes)
    {
        i64 place = first_row + time_of(time - 1, time, reverse);
        next = load_saved(saved + place * 4 * hidden + unit, hidden);
        next_dy = to_float(dy[place * hidden + unit]);
        before = time > 1 ? to_float(y[(first_row + time_of(time - 2, time, reverse)) * hidden + unit]) : 0.0f;
    }

    __syncthreads();
    for (int step = time - 1; step >= 0; step--)
    {
        if (finishes)
        {
            float dh = next_dy + direct + (parts[0][unit] + parts[1][unit] + parts[2][unit]);
            GateGradients gradient = gate_gradients(next, before, dh, direct);
            gradients[0][unit] = gradient.r;
            gradients[1][unit] = gradient.z;
            gradients[2][unit] = gradient.m;
            i64 place = (first_row + time_of(step, time, reverse)) * 3 * hidden + unit;
            store_gradients(d_input + place, d_hidden + place, hidden, gradient);
            if (step > 0)
            {
                place = first_row + time_of(step - 1, time, reverse);
                next = load_saved(saved + place * 4 * hidden + unit, hidden);
                next_dy = to_float(dy[place * hidden + unit]);
                before = step > 1 ? to_float(y[(first_row + time_of(step - 2, time, reverse)) * hidden + unit]) : 0.0f;
            }
        }

        __syncthreads();
        if (step > 0)
        {
            parts[gate][unit] = dot(kept, gradients[gate], hidden);
        }

        __syncthreads();
    }
}

template <typename T>
__device__ __forceinline__ void forward(
    int time, int hidden, const T *__restrict__ from_input, const float *__restrict__ bias_input, const float *__restrict__ bias_hidden, const T *__restrict__ weights,
    T *y, T *saved, int reverse, bool aligned, float *shared)
{
    float *state = shared, *next_state = shared + hidden, *sums = shared + 2 * hidden;
    i64 first_row = (i64)blockIdx.x * time;
    for (int unit = threadIdx.x; unit < hidden; unit += general_threads)
    {
        state[unit] = 0.0f;
    }

    __syncthreads();
    for (int step = 0; step < time; step++)
    {
        i64 row = first_row + time_of(step, time, reverse);
        for (int tile = 0; tile < hidden; tile += forward_tile)
        {
            int units = hidden - tile < forward_tile ? hidden - tile : forward_tile, unit = tile + (int)threadIdx.x;
            bool finishes = (int)threadIdx.x < units;
            float r = 0.0f, z = 0.0f, n = 0.0f;
            if (finishes)
            {
                const T *own = from_input + row * 3 * hidden + unit;
                r = to_float(own[0]) + bias_input[unit] + bias_hidden[unit];
                z = to_float(own[hidden]) + bias_input[hidden + unit] + bias_hidden[hidden + unit];
                n = to_float(own[2 * hidden]) + bias_input[2 * hidden + unit];
            }

            multiply_rows<T, 3>(weights, hidden, state, tile, units, sums, aligned);
            __syncthreads();
            if (finishes)
            {
                r = sigmoid(r + sums[threadIdx.x]);
                z = sigmoid(z + sums[forward_tile + threadIdx.x]);
                float m = sums[2 * forward_tile + threadIdx.x] + bias_hidden[2 * hidden + unit];
                n = tanhf(n + r * m);
                float h = n + z * (state[unit] - n);
                next_state[unit] = h;
                T *own = saved + row * 4 * hidden + unit;
                own[0] = from_float<T>(r);
                own[hidden] = from_float<T>(z);
                own[2 * hidden] = from_float<T>(n);
                own[3 * hidden] = from_float<T>(m);
                y[row * hidden + unit] = from_float<T>(h);
            }

            __syncthreads();
        }

        float *swapped = state;
        state = next_state;
        next_state = swapped;
    }
}

template <typename T>
__device__ __forceinline__ void backward(
    int time, int hidden, const T *__restrict__ dy, const T *__restrict__ y, const T *__restrict__ saved, const T *__restrict__ weights, T *d_input, T *d_hidden, int reverse,
    bool aligned, float *shared)
{
    float *gradients = shared, *dh = shared + 3 * hidden, *direct = shared + 4 * hidden, *parts = shared + 5 * hidden;
    i64 first_row = (i64)blockIdx.x * time;
    for (int unit = threadIdx.x; unit < hidden; unit += general_threads)
    {
        dh[unit] = 0.0f;
        direct[unit] = 0.0f;
    }

    __syncthreads();
    for (int step = time - 1; step >= 0; step--)
    {
        i64 row = first_row + time_of(step, time, reverse), row_before = first_row + time_of(step - 1, time, reverse);
        for (int unit = threadIdx.x; unit < hidden; unit += general_threads)
        {
            float before = step > 0 ? to_float(y[row_before * hidden + unit]) : 0.0f;
            float total = to_float(dy[row * hidden + unit]) + direct[unit] + dh[unit];
            GateGradients gradient = gate_gradients(load_saved(saved + row * 4 * hidden + unit, hidden), before, total, direct[unit]);
            gradients[unit] = gradient.r;
            gradients[hidden + unit] = gradient.z;
            gradients[2 * hidden + unit] = gradient.m;
            store_gradients(d_input + row * 3 * hidden + unit, d_hidden + row * 3 * hidden + unit, hidden, gradient);
        }

        __syncthreads();
        if (step > 0)
        {
            multiply_columns<T, 3>(weights, hidden, gradients, dh, parts, aligned);
        }
    }
}

#define GRU(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(512, 1) gru_forward_##SUFFIX( \
        int time, int hidden, const T *from_input, const float *bias_input, const float *bias_hidden, const T *weights, T *y, T *saved, int reverse, int aligned) \
    { \
        extern __shared__ float shared[]; \
        forward<T>(time, hidden, from_input, bias_input, bias_hidden, weights, y, saved, reverse, aligned, shared); \
    } \
    extern "C" __global__ void __launch_bounds__(512, 1) gru_backward_##SUFFIX( \
        int time, int hidden, const T *dy, const T *y, const T *saved, const T *weights, T *d_input, T *d_hidden, int reverse, int aligned) \
    { \
        extern __shared__ float shared[]; \
        backward<T>(time, hidden, dy, y, saved, weights, d_input, d_hidden, reverse, aligned, shared); \
    }

GRU(float, f32)
GRU(half, f16)
