using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// The two products of a recurrent layer with its whole input, dense or, where most of the input is zeros (features behind a ReLU), sparse.
/// In single precision both have the same bits, so the choice is free: it looks at a sample. In a team that multiplies in bfloat16 the
/// sparse product is the more precise one, and results depend on what is chosen, though not on threads.
/// </summary>
internal static unsafe class InputProduct
{
    /// <summary>Part of non-zero elements up to which the sparse product is clearly faster (`bench sparse`: they meet between 60 and 70
    /// %).</summary>
    private const double SparseDensity = 0.5;

    /// <summary>The same where dense products are in bfloat16, at twice the rate; sparse ones are in single precision.</summary>
    private const double SparseDensityOfPairs = 0.2;

    /// <summary>Elements below which lists of non-zeros do not pay.</summary>
    private const long SmallestSparse = 1 << 18;

    /// <summary>Elements looked at: each is a miss in the caches, and a few per cent of error in the density do not matter.</summary>
    private const int SampleSize = 1024;

    /// <summary>sums[B·T, n] = x·W_ihᵀ + bias.</summary>
    /// <param name="shape">Sizes.</param>
    /// <param name="columns">Rows n of the weights.</param>
    /// <param name="x">[B·T, I].</param>
    /// <param name="weights">[n, I].</param>
    /// <param name="bias">[n].</param>
    /// <param name="sums">[B·T, n] at distance <paramref name="sumsStride"/>, overwritten.</param>
    /// <param name="sumsStride">Floats from row to row.</param>
    public static void Forward<T, TSource>(ThreadTeam team, in RecurrentShape shape, int columns, T* x, float* weights, float* bias,
        float* sums, int sumsStride)
        where T : unmanaged, IEquatable<T>
        where TSource : struct, IPackSource<T>
    {
        (int rows, int inputs) = (shape.Rows, shape.Inputs);
        if (IsSparse(team, x, (long)rows * inputs))
        {
            SparseGemm.RunAs<T, TSource>(team, false, true, false, rows, columns, inputs, x, inputs, weights, inputs, sums, sumsStride,
                bias: bias);
        }
        else
        {
            Gemm.RunAs<T, TSource, float, SingleSource>(team, false, true, rows, columns, inputs, x, inputs, weights, inputs, sums,
                sumsStride, bias: bias);
        }
    }

    /// <summary>weightsGradient[n, I] += gatesᵀ·x.</summary>
    /// <param name="shape">Sizes.</param>
    /// <param name="columns">Gate gradients n of a row.</param>
    /// <param name="gates">[B·T, n] at distance <paramref name="gatesStride"/>.</param>
    /// <param name="gatesStride">Floats from row to row.</param>
    /// <param name="x">[B·T, I].</param>
    /// <param name="weightsGradient">[n, I], added to.</param>
    public static void WeightGradient<T, TSource>(ThreadTeam team, in RecurrentShape shape, int columns, float* gates, int gatesStride,
        T* x, float* weightsGradient)
        where T : unmanaged, IEquatable<T>
        where TSource : struct, IPackSource<T>
    {
        (int rows, int inputs) = (shape.Rows, shape.Inputs);
        if (IsSparse(team, x, (long)rows * inputs))
        {
            SparseGemm.RunAs<T, TSource>(team, true, false, true, inputs, columns, rows, x, inputs, gates, gatesStride, weightsGradient,
                inputs, accumulate: true);
        }
        else
        {
            Gemm.RunAs<float, SingleSource, T, TSource>(
                team, true, false, columns, inputs, rows, gates, gatesStride, x, inputs, weightsGradient, inputs, accumulate: true);
        }
    }

    private static bool IsSparse<T>(ThreadTeam team, T* x, long count)
        where T : unmanaged, IEquatable<T>
    {
        if (count < SmallestSparse)
        {
            return false;
        }

        // Odd, so that the sample spreads over the columns where their number is a power of two.
        long distance = (count / SampleSize) | 1;
        int nonZeros = 0;
        for (int i = 0; i < SampleSize; i++)
        {
            nonZeros += x[i * distance % count].Equals(default) ? 0 : 1;
        }

        return nonZeros <= (team.PairTile.Exists ? SparseDensityOfPairs : SparseDensity) * SampleSize;
    }
}
