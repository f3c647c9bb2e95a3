// y[n, c, p] = x[n, p, c]: a transposition of every image, pixels × channels to channels × pixels.
//
// Shapes  x [n, h, w, c]; y [n, c, h, w]; float or half.
// Cost    each element read and written once, no FLOPs: bound by memory. VGG19's last map, ten frames of 7×7×512 in half: 1 MB.
// Access  32×32 tiles through shared memory (a column of padding keeps the banks apart): both sides touch neighbouring elements. Blocks of 32×8 threads.
// Order   moves elements only.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ void conv_flatten(i64 tiles, int channels, int pixels, const T *__restrict__ x, T *__restrict__ y)
{
    __shared__ T tile[32][33];
    int across = (channels + 31) / 32, down = (pixels + 31) / 32;
    for (i64 index = blockIdx.x; index < tiles; index += gridDim.x)
    {
        i64 row = quotient(index, across);
        i64 image = quotient(row, down);
        int channel = (int)(index - row * across) * 32, pixel = (int)(row - image * down) * 32;
        const T *from = x + image * pixels * channels;
        T *to = y + image * pixels * channels;
        for (int i = threadIdx.y; i < 32; i += blockDim.y)
        {
            if (pixel + i < pixels && channel + (int)threadIdx.x < channels)
            {
                tile[i][threadIdx.x] = from[(i64)(pixel + i) * channels + channel + threadIdx.x];
            }
        }

        __syncthreads();
        for (int i = threadIdx.y; i < 32; i += blockDim.y)
        {
            if (channel + i < channels && pixel + (int)threadIdx.x < pixels)
            {
                to[(i64)(channel + i) * pixels + pixel + threadIdx.x] = tile[threadIdx.x][i];
            }
        }

        __syncthreads();
    }
}

#define CONV_FLATTEN(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) conv_flatten_##SUFFIX(i64 tiles, int channels, int pixels, const T *x, T *y) \
    { \
        conv_flatten<T>(tiles, channels, pixels, x, y); \
    }

CONV_FLATTEN(float, f32)
CONV_FLATTEN(half, f16)
