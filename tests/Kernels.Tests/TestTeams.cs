using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Every SIMD level that this machine has, with teams of 1, 2 and 3.</summary>
internal static class TestTeams
{
    public static TheoryData<SimdLevel, int> All
    {
        get
        {
            var data = new TheoryData<SimdLevel, int>();
            foreach (SimdLevel level in SimdSelection.Available)
            {
                for (int threads = 1; threads <= 3; threads++)
                {
                    data.Add(level, threads);
                }
            }

            return data;
        }
    }

    public static TheoryData<SimdLevel> Levels => [.. SimdSelection.Available];
}
