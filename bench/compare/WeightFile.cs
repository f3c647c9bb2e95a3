using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Bench.Compare;

/// <summary>Shapes as files want them.</summary>
internal static class WeightFile
{
    public static long[] Lengths(Shape shape)
    {
        long[] lengths = new long[shape.Rank];
        for (int i = 0; i < lengths.Length; i++)
        {
            lengths[i] = shape[i];
        }

        return lengths;
    }
}
