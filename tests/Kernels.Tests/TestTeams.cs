using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

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

    /// <summary>Every level with every value of an enumeration.</summary>
    public static TheoryData<SimdLevel, TEnum> LevelsAnd<TEnum>()
        where TEnum : struct, Enum =>
        [.. SimdSelection.Available.SelectMany(level => Enum.GetValues<TEnum>().Select(value => (level, value)))];

    /// <summary>Every level with every size [batch, time, features].</summary>
    public static TheoryData<SimdLevel, int, int, int> LevelsAnd(params (int Batch, int Time, int Features)[] sizes) =>
        [.. SimdSelection.Available.SelectMany(level => sizes.Select(size => (level, size.Batch, size.Time, size.Features)))];

    public static TheoryData<SimdLevel> Levels => [.. SimdSelection.Available];

    /// <summary>Runs <paramref name="check"/> for teams of 1, 2 and 3.</summary>
    public static void ForEach(SimdLevel level, Action<ThreadTeam[]> check)
    {
        using var one = new ThreadTeam(1, level);
        using var two = new ThreadTeam(2, level);
        using var three = new ThreadTeam(3, level);
        check([one, two, three]);
    }
}
