// y[p, c] = (rgb[p, c] − mean_c)·scale_c for the three channels of every pixel, and 0 for five more: NHWC with 8 channels.
//
// Shapes  rgb [n, h, w, 3] bytes; y [n, h, w, 8] float or half, aligned to 16 bytes.
// Cost    3 bytes read and 16 (half) or 32 (float) written a pixel, 6 FLOPs: bound by memory. Ten frames of 224×224 in half: 9.5 MB.
// Access  a thread makes a pixel: a warp writes 512 bytes in one access and reads 96 neighbouring bytes, which the L1 cache turns into whole sectors.
// Order   every element is computed by one thread from one element: no reduction.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ void normalize_image(
    i64 pixels, const unsigned char *__restrict__ rgb, T *__restrict__ y, int blue_first, float mean0, float scale0, float mean1, float scale1, float mean2, float scale2)
{
    int first = blue_first ? 2 : 0;
    for (i64 pixel = first_item(); pixel < pixels; pixel += item_stride())
    {
        const unsigned char *from = rgb + 3 * pixel;
        float a = ((float)from[first] - mean0) * scale0;
        float b = ((float)from[1] - mean1) * scale1;
        float c = ((float)from[2 - first] - mean2) * scale2;
        uint4 *to = (uint4 *)(y + 8 * pixel);
        if (sizeof(T) == sizeof(half))
        {
            to[0] = make_uint4(pack_halves(a, b), pack_halves(c, 0.0f), 0u, 0u);
        }
        else
        {
            to[0] = make_uint4(__float_as_uint(a), __float_as_uint(b), __float_as_uint(c), 0u);
            to[1] = make_uint4(0u, 0u, 0u, 0u);
        }
    }
}

#define NORMALIZE_IMAGE(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) normalize_image_##SUFFIX( \
        i64 pixels, const unsigned char *rgb, T *y, int blue_first, float mean0, float scale0, float mean1, float scale1, float mean2, float scale2) \
    { \
        normalize_image<T>(pixels, rgb, y, blue_first, mean0, scale0, mean1, scale1, mean2, scale2); \
    }

NORMALIZE_IMAGE(float, f32)
NORMALIZE_IMAGE(half, f16)
