using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Bench.Compare;

/// <summary>A tensor's shape in the form that file writers take.</summary>
internal static class FileShape
{
    public static long[] Of(Shape shape)
    {
        long[] lengths = new long[shape.Rank];
        for (int i = 0; i < lengths.Length; i++)
        {
            lengths[i] = shape[i];
        }

        return lengths;
    }
}
