using System.Diagnostics;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench;

/// <summary>
/// lstm_1's two products by the dense and by the sparse kernel over the density of the features: where the sparse one begins to win.
/// </summary>
internal static unsafe class SparseCrossover
{
    private const int Rows = OwnStep.Batch * OwnStep.Time;
    private const int Inputs = OwnStep.Inputs;
    private const int Columns = 512;

    public static void Run(int threads, int rounds = 7)
    {
        foreach (SimdLevel level in SimdSelection.Available)
        {
            using var team = new ThreadTeam(threads, level);
            using NativeArray weights = NativeArray.Random((long)Columns * Inputs, 1), gates = NativeArray.Random((long)Rows * Columns, 2),
                features = NativeArray.Random((long)Rows * Inputs, 3);
            using NativeArray forward = new((long)Rows * Columns), gradient = new((long)Columns * Inputs);
            foreach (double density in (double[])[0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7])
            {
                var random = new Random(5);
                for (long i = 0; i < features.Length; i++)
                {
                    features.Pointer[i] = random.NextDouble() < density ? 1 + random.NextSingle() : 0;
                }

                Seconds[] times = Interleaved.Measure(
                    [
                        new("dense", () => Time(
                            () => Gemm.Run(team, false, true, Rows, Columns, Inputs, features.Pointer, Inputs, weights.Pointer, Inputs,
                            forward.Pointer, Columns))),
                        new("sparse", () => Time(
                            () => SparseGemm.Run(team, false, true, false, Rows, Columns, Inputs, features.Pointer, Inputs,
                            weights.Pointer, Inputs, forward.Pointer, Columns))),
                        new("dense", () => Time(
                            () => Gemm.Run(team, true, false, Columns, Inputs, Rows, gates.Pointer, Columns, features.Pointer, Inputs,
                            gradient.Pointer, Inputs, accumulate: true))),
                        new("sparse", () => Time(
                            () => SparseGemm.Run(team, true, false, true, Inputs, Columns, Rows, features.Pointer, Inputs, gates.Pointer,
                            Columns, gradient.Pointer, Inputs, accumulate: true))),
                    ],
                    rounds);
                Console.WriteLine(
                    $"{level} {density:P0} not zero: product dense {times[0].Median * 1e3:F1} ms, sparse {times[1].Median * 1e3:F1} " +
                        $"({times[0].Median / times[1].Median:F2} x); "
                    + $"weight gradient dense {times[2].Median * 1e3:F1} ms, sparse {times[3].Median * 1e3:F1} ({times[2].Median / times[3].Median:F2} x)");
            }
        }
    }

    private static double Time(Action action)
    {
        long began = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(began).TotalSeconds;
    }
}
