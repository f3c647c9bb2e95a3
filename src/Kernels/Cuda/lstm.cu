// The recurrent part of an LSTM layer over whole sequences from zero state; a step of sequence b:
//   forward   z = x·W_ihᵀ (given) + bias + h·W_hhᵀ; i, f, o = σ(z), g = tanh(z); c ← f·c + i·g; h = o·tanh(c)
//   backward  dh += dy; dc += dh·o·(1 − tanh²c); dz_i = dc·g·i(1−i), dz_f = dc·c_prev·f(1−f), dz_g = dc·i·(1−g²), dz_o = dh·tanh(c)·o(1−o); dc ← dc·f; dh ← dz·W_hh
//
// Shapes  gates, dz [B, T, 4H], y, dy [B, T, H], W_hh [4H, H] float or half; bias [4H], cells [B, T, H] float. Gate blocks i, f, g, o.
// Cost    8·H² FLOPs a step, sequence and direction; from memory 4H + H elements and H floats read or written. For 64×20 steps of 128 units: 168 MFLOP and 2.6 MB each way, so
//         the bound is the chain of T dependent steps: about 1000 cycles of FMAs and 300 of gate maths each with the weights in registers, 15 µs for 20 steps.
// Access  recurrent.cuh. What the next step reads from memory is fetched before the products of this one.
// Order   one block for a sequence; products sum in an order fixed by H; no atomics. Weight gradients are matrix products outside.
#include "recurrent.cuh"

struct Gates
{
    float i, f, g, o;
};

// The gradients before activation of one unit; dh complete, dc that of the step behind on entry and of the step before on exit.
__device__ __forceinline__ Gates gate_gradients(const Gates &gates, float cell, float cell_before, float dh, float &dc)
{
    float tanh_cell = tanhf(cell);
    float total = dc + dh * gates.o * (1.0f - tanh_cell * tanh_cell);
    Gates dz;
    dz.i = total * gates.g * gates.i * (1.0f - gates.i);
    dz.f = total * cell_before * gates.f * (1.0f - gates.f);
    dz.g = total * gates.i * (1.0f - gates.g * gates.g);
    dz.o = dh * tanh_cell * gates.o * (1.0f - gates.o);
    dc = total * gates.f;
    return dz;
}

template <typename T>
__device__ __forceinline__ Gates load_gates(const T *row, int hidden)
{
    Gates gates;
    gates.i = to_float(row[0]);
    gates.f = to_float(row[hidden]);
    gates.g = to_float(row[2 * hidden]);
    gates.o = to_float(row[3 * hidden]);
    return gates;
}

template <typename T>
__device__ __forceinline__ void store_gates(T *row, int hidden, const Gates &gates)
{
    row[0] = from_float<T>(gates.i);
    row[hidden] = from_float<T>(gates.f);
    row[2 * hidden] = from_float<T>(gates.g);
    row[3 * hidden] = from_float<T>(gates.o);
}

extern "C" __global__ void __launch_bounds__(512, 1) lstm_forward_registers_f16(
    int time, int hidden, half *gates, const float *__restrict__ bias, const half *__restrict__ weights, half *y, float *cells, int reverse)
{
    alignas(16) __shared__ float state[register_hidden];
    __shared__ float activated[4][register_hidden];
    int unit = threadIdx.x % register_hidden, gate = threadIdx.x / register_hidden, row = gate * hidden + unit;
    bool active = unit < hidden, finishes = active && gate == 0;
    i64 first_row = (i64)blockIdx.x * time;
    half *own_gates = gates + first_row * 4 * hidden + row;

    unsigned kept[register_hidden / 2];
    clear(kept);
    float offset = 0.0f, next = 0.0f, cell = 0.0f;
    if (active)
    {
        load_row(weights + (i64)row * hidden, hidden, kept);
        offset = bias[row];
        next = to_float(own_gates[(i64)time_of(0, time, reverse) * 4 * hidden]);
    }

    if (gate == 0)
    {
        state[unit] = 0.0f;
    }

    __syncthreads();
    for (int step = 0; step < time; step++)
    {
        int t = time_of(step, time, reverse);
        float sum = next + offset;
        if (active && step + 1 < time)
        {
            next = to_float(own_gates[(i64)time_of(step + 1, time, reverse) * 4 * hidden]);
        }

        sum += dot(kept, state, hidden);
        float value = gate == 2 ? tanhf(sum) : sigmoid(sum);
        activated[gate][unit] = value;
        if (active)
        {
            own_gates[(i64)t * 4 * hidden] = from_float<half>(value);
        }

        __syncthreads();
        if (finishes)
        {
            cell = activated[1][unit] * cell + activated[0][unit] * activated[2][unit];
            float h = activated[3][unit] * tanhf(cell);
            state[unit] = h;
            i64 place = (first_row + t) * hidden + unit;
            cells[place] = cell;
            y[place] = from_float<half>(h);
        }

        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(512) lstm_backward_registers_f16(
    int time, int hidden, const half *dy, const half *gates, const float *cells, const half *__restrict__ weights, half *dz, int reverse)
{
    alignas(16) __shared__ float gradients[4][register_hidden];
    __shared__ float parts[4][register_hidden];
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
    Gates next = {};
    float next_dy = 0.0f, cell = 0.0f, cell_before = 0.0f, dc = 0.0f;
    if (finishes)
    {
        i64 place = first_row + time_of(time - 1, time, reverse);
        next = load_gates(gates + place * 4 * hidden + unit, hidden);
        next_dy = to_float(dy[place * hidden + unit]);
        cell = cells[place * hidden + unit];
        cell_before = time > 1 ? cells[(first_row + time_of(time - 2, time, reverse)) * hidden + unit] : 0.0f;
    }

    __syncthreads();
    for (int step = time - 1; step >= 0; step--)
    {
        if (finishes)
        {
            float dh = next_dy + ((parts[0][unit] + parts[1][unit]) + (parts[2][unit] + parts[3][unit]));
            Gates gradient = gate_gradients(next, cell, cell_before, dh, dc);
            gradients[0][unit] = gradient.i;
            gradients[1][unit] = gradient.f;
            gradients[2][unit] = gradient.g;
            gradients[3][unit] = gradient.o;
            store_gates(dz + (first_row + time_of(step, time, reverse)) * 4 * hidden + unit, hidden, gradient);
            cell = cell_before;
            if (step > 0)
            {
                i64 place = first_row + time_of(step - 1, time, reverse);
                next = load_gates(gates + place * 4 * hidden + unit, hidden);
                next_dy = to_float(dy[place * hidden + unit]);
                cell_before = step > 1 ? cells[(first_row + time_of(step - 2, time, reverse)) * hidden + unit] : 0.0f;
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
    int time, int hidden, T *gates, const float *__restrict__ bias, const T *__restrict__ weights, T *y, float *cells, int reverse, bool aligned, float *shared)
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
        i64 row = first_row + time_of(step, time, reverse), row_before = first_row + time_of(step - 1, time, reverse);
        for (int tile = 0; tile < hidden; tile += forward_tile)
        {
            int units = hidden - tile < forward_tile ? hidden - tile : forward_tile, unit = tile + (int)threadIdx.x;
            bool finishes = (int)threadIdx.x < units;
            T *own_gates = gates + row * 4 * hidden + unit;
            Gates z = {};
            float cell = 0.0f;
            if (finishes)
            {
                z = load_gates(own_gates, hidden);
                cell = step > 0 ? cells[row_before * hidden + unit] : 0.0f;
            }

            multiply_rows<T, 4>(weights, hidden, state, tile, units, sums, aligned);
            __syncthreads();
            if (finishes)
            {
                const float *own = sums + threadIdx.x;
                z.i = sigmoid(z.i + bias[unit] + own[0]);
                z.f = sigmoid(z.f + bias[hidden + unit] + own[forward_tile]);
                z.g = tanhf(z.g + bias[2 * hidden + unit] + own[2 * forward_tile]);
                z.o = sigmoid(z.o + bias[3 * hidden + unit] + own[3 * forward_tile]);
                store_gates(own_gates, hidden, z);
                cell = z.f * cell + z.i * z.g;
                float h = z.o * tanhf(cell);
                next_state[unit] = h;
                cells[row * hidden + unit] = cell;
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
    int time, int hidden, const T *dy, const T *gates, const float *cells, const T *__restrict__ weights, T *dz, int reverse, bool aligned, float *shared)
{
    float *gradients = shared, *dh = shared + 4 * hidden, *dc = shared + 5 * hidden, *parts = shared + 6 * hidden;
    i64 first_row = (i64)blockIdx.x * time;
    for (int unit = threadIdx.x; unit < hidden; unit += general_threads)
    {
        dh[unit] = 0.0f;
        dc[unit] = 0.0f;
    }

    __syncthreads();
    for (int step = time - 1; step >= 0; step--)
    {
        i64 row = first_row + time_of(step, time, reverse), row_before = first_row + time_of(step - 1, time, reverse);
        for (int unit = threadIdx.x; unit < hidden; unit += general_threads)
        {
            float cell_before = step > 0 ? cells[row_before * hidden + unit] : 0.0f;
            Gates gradient = gate_gradients(
                load_gates(gates + row * 4 * hidden + unit, hidden), cells[row * hidden + unit], cell_before, to_float(dy[row * hidden + unit]) + dh[unit], dc[unit]);
            gradients[unit] = gradient.i;
            gradients[hidden + unit] = gradient.f;
            gradients[2 * hidden + unit] = gradient.g;
            gradients[3 * hidden + unit] = gradient.o;
            store_gates(dz + row * 4 * hidden + unit, hidden, gradient);
        }

        __syncthreads();
        if (step > 0)
        {
            multiply_columns<T, 4>(weights, hidden, gradients, dh, parts, aligned);
        }
    }
}

#define LSTM(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(512, 1) lstm_forward_##SUFFIX( \
        int time, int hidden, T *gates, const float *bias, const T *weights, T *y, float *cells, int reverse, int aligned) \
    { \
        extern __shared__ float shared[]; \
        forward<T>(time, hidden, gates, bias, weights, y, cells, reverse, aligned, shared); \
    } \
    extern "C" __global__ void __launch_bounds__(512, 1) lstm_backward_##SUFFIX( \
        int time, int hidden, const T *dy, const T *gates, const float *cells, const T *weights, T *dz, int reverse, int aligned) \
    { \
        extern __shared__ float shared[]; \
        backward<T>(time, hidden, dy, gates, cells, weights, dz, reverse, aligned, shared); \
    }

LSTM(float, f32)
LSTM(half, f16)
