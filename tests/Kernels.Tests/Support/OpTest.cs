using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Runs an op on teams of 1, 2 and 3 threads.</summary>
internal static class OpTest
{
    /// <summary>Checks the result of one thread and that more threads give the same bits.</summary>
    /// <param name="level">SIMD level.</param>
    /// <param name="run">Runs the op and returns its outputs; called for each team with fresh buffers.</param>
    /// <param name="check">Looks at the outputs.</param>
    public static void Run(SimdLevel level, Func<ThreadTeam, Buffers, float[][]> run, Action<float[][]> check)
    {
        float[][]? first = null;
        for (int threads = 1; threads <= 3; threads++)
        {
            using var team = new ThreadTeam(threads, level);
            using var buffers = new Buffers(threads == 2 ? Edge.Before : Edge.Behind);
            float[][] outputs = run(team, buffers);
            if (first is null)
            {
                first = outputs;
                check(first);
                continue;
            }

            outputs.Length.ShouldBe(first.Length);
            for (int i = 0; i < outputs.Length; i++)
            {
                outputs[i].ShouldBeTheSameBitsAs(first[i], $"output {i} with {threads} threads");
            }
        }
    }

    public static float[] Read(this GuardedBuffer<float> buffer) => buffer.Span.ToArray();
}
