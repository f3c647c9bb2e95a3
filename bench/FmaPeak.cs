using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench;

/// <summary>The rate of independent multiply-adds on registers: what no kernel can exceed.</summary>
internal struct FmaPeak : ITeamKernel
{
    private const int Steps = 2_000_000;

    private float _sink;

    /// <summary>Best and median GFLOP/s of the whole team.</summary>
    public static (double Best, double Median) Measure(ThreadTeam team, int rounds = 9)
    {
        int width = team.Level switch { SimdLevel.V512 => 16, SimdLevel.V256 => 8, _ => 4 };
        var timing = Timing.Measure(() => RunOnce(team), rounds, 0.2);
        double operations = 2.0 * width * 12 * Steps * team.Size / 1e9;
        return (operations / timing.Best, operations / timing.Median);
    }

    public void Run<TSimd, TVec>(Member member)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => _sink = Chains<TSimd, TVec>(Steps);

    private static void RunOnce(ThreadTeam team)
    {
        var kernel = default(FmaPeak);
        team.Run(ref kernel);
    }

    /// <summary>Twelve chains: enough to hide a latency of 4 at two multiply-adds a cycle, few enough for 16 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Chains<TSimd, TVec>(int steps)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec x = TSimd.Set(0.999f), y = TSimd.Set(0.001f);
        TVec a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
        for (int step = 0; step < steps; step++)
        {
            a = TSimd.MultiplyAdd(a, x, y);
            b = TSimd.MultiplyAdd(b, x, y);
            c = TSimd.MultiplyAdd(c, x, y);
            d = TSimd.MultiplyAdd(d, x, y);
            e = TSimd.MultiplyAdd(e, x, y);
            f = TSimd.MultiplyAdd(f, x, y);
            g = TSimd.MultiplyAdd(g, x, y);
            h = TSimd.MultiplyAdd(h, x, y);
            i = TSimd.MultiplyAdd(i, x, y);
            j = TSimd.MultiplyAdd(j, x, y);
            k = TSimd.MultiplyAdd(k, x, y);
            l = TSimd.MultiplyAdd(l, x, y);
        }

        TVec sum = TSimd.Add(TSimd.Add(TSimd.Add(a, b), TSimd.Add(c, d)), TSimd.Add(TSimd.Add(e, f), TSimd.Add(g, h)));
        return TSimd.Sum(TSimd.Add(sum, TSimd.Add(TSimd.Add(i, j), TSimd.Add(k, l))));
    }
}
