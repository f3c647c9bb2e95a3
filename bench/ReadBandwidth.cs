using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench;

/// <summary>How fast the team reads an array much larger than the caches.</summary>
internal unsafe struct ReadBandwidth : ITeamKernel
{
    private const long Length = 128L << 20;

    private float* _data;
    private float _sink;

    /// <summary>Best and median GB/s of the whole team.</summary>
    public static (double Best, double Median) Measure(ThreadTeam team)
    {
        using var array = new NativeArray(Length);
        for (long i = 0; i < Length; i += 1024)
        {
            array.Pointer[i] = 1;
        }

        Timing timing = Timing.Measure(() =>
        {
            var kernel = new ReadBandwidth { _data = array.Pointer };
            team.Run(ref kernel);
        });
        const double gigabytes = Length * sizeof(float) / 1e9;
        return (gigabytes / timing.Best, gigabytes / timing.Median);
    }

    public void Run<TSimd, TVec>(Member member)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        (long begin, long end) = member.Share(Length, 64);
        TVec a = TSimd.Zero, b = TSimd.Zero, c = TSimd.Zero, d = TSimd.Zero;
        for (float* p = _data + begin; p < _data + end; p += 4 * TSimd.Width)
        {
            a = TSimd.Add(a, TSimd.Load(p));
            b = TSimd.Add(b, TSimd.Load(p + TSimd.Width));
            c = TSimd.Add(c, TSimd.Load(p + (2 * TSimd.Width)));
            d = TSimd.Add(d, TSimd.Load(p + (3 * TSimd.Width)));
        }

        _sink = TSimd.Sum(TSimd.Add(TSimd.Add(a, b), TSimd.Add(c, d)));
    }
}
