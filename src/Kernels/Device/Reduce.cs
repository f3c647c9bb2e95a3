using ILGPU;
using ILGPU.Algorithms;

namespace CudaTrainer.Kernels.Device;

/// <summary>Reductions by butterflies, so that every lane has the same bits and the order never changes.</summary>
internal static class Reduce
{
    public static float WarpSum(float value)
    {
        value += Warp.ShuffleXor(value, 16);
        value += Warp.ShuffleXor(value, 8);
        value += Warp.ShuffleXor(value, 4);
        value += Warp.ShuffleXor(value, 2);
        return value + Warp.ShuffleXor(value, 1);
    }

    public static int WarpSum(int value)
    {
        value += Warp.ShuffleXor(value, 16);
        value += Warp.ShuffleXor(value, 8);
        value += Warp.ShuffleXor(value, 4);
        value += Warp.ShuffleXor(value, 2);
        return value + Warp.ShuffleXor(value, 1);
    }

    public static double WarpSum(double value)
    {
        value += Warp.ShuffleXor(value, 16);
        value += Warp.ShuffleXor(value, 8);
        value += Warp.ShuffleXor(value, 4);
        value += Warp.ShuffleXor(value, 2);
        return value + Warp.ShuffleXor(value, 1);
    }

    /// <summary>The largest of the warp; of a number and a NaN the number.</summary>
    public static float WarpMax(float value)
    {
        value = XMath.Max(value, Warp.ShuffleXor(value, 16));
        value = XMath.Max(value, Warp.ShuffleXor(value, 8));
        value = XMath.Max(value, Warp.ShuffleXor(value, 4));
        value = XMath.Max(value, Warp.ShuffleXor(value, 2));
        return XMath.Max(value, Warp.ShuffleXor(value, 1));
    }

    /// <summary>The sum over a one-dimensional block of whole warps, for every thread; a barrier must stand between two uses of the same
    /// <paramref name="parts"/>.</summary>
    /// <param name="parts">Shared memory, a place for each warp.</param>
    public static double BlockSum(double value, ArrayView<double> parts, int warps)
    {
        value = WarpSum(value);
        if (GpuThread.Lane == 0)
        {
            parts[GpuThread.Warp] = value;
        }

        GpuThread.Barrier();
        double sum = parts[0];
        for (int warp = 1; warp < warps; warp++)
        {
            sum += parts[warp];
        }

        return sum;
    }

    /// <inheritdoc cref="BlockSum(double, ArrayView{double}, int)"/>
    public static int BlockSum(int value, ArrayView<int> parts, int warps)
    {
        value = WarpSum(value);
        if (GpuThread.Lane == 0)
        {
            parts[GpuThread.Warp] = value;
        }

        GpuThread.Barrier();
        int sum = parts[0];
        for (int warp = 1; warp < warps; warp++)
        {
            sum += parts[warp];
        }

        return sum;
    }

    /// <summary>The largest over a block, as <see cref="BlockSum(double, ArrayView{double}, int)"/>; of a number and a NaN the
    /// number.</summary>
    public static float BlockMax(float value, ArrayView<double> parts, int warps)
    {
        value = WarpMax(value);
        if (GpuThread.Lane == 0)
        {
            parts[GpuThread.Warp] = value;
        }

        GpuThread.Barrier();
        double largest = parts[0];
        for (int warp = 1; warp < warps; warp++)
        {
            largest = parts[warp] > largest ? parts[warp] : largest;
        }

        return (float)largest;
    }
}
