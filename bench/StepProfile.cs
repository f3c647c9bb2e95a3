using CudaTrainer.Bench.Compare;

namespace CudaTrainer.Bench;

/// <summary>Training steps alone, for a profiler.</summary>
internal static class StepProfile
{
    public static void Run(int threads, int steps)
    {
        foreach (double zeros in (double[])[0, 0.75])
        {
            foreach (bool mixed in (bool[])[false, true])
            {
                using var step = new OwnStep(null, threads, OwnStep.Features(zeros), new long[OwnStep.Batch], dropout: 0.5f, mixed);
                step.Run(5);
                Seconds times = Seconds.Of(Enumerable.Range(0, steps).Select(_ => step.Run(1)));
                string precision = mixed ? "mixed precision" : "fp32";
                Console.WriteLine($"{zeros:P0} zeros, {threads} threads, {precision}: {times.Best * 1e3:F1} ms best, " +
                    $"{times.Median * 1e3:F1} median");
            }
        }
    }
}
