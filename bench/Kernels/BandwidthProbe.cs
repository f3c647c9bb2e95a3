using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Kernels;

/// <summary>
/// The rate at which a team reads memory, or updates it: y ← y + c·x, the triad without a fetch of lines that are only written.
/// </summary>
internal unsafe struct BandwidthProbe : ITeamKernel
{
    /// <summary>Members share multiples of it; a multiple of what the inner loops take at a time at every level, four vectors.</summary>
    private const int Step = 64;

    private float* _x;
    private float* _y;
    private long _count;
    private int _passes;
    private bool _update;
    private float _sink;

    /// <param name="team">Its members share the arrays.</param>
    /// <param name="bytes">Size of all arrays together, which decides the cache they are in.</param>
    /// <returns>Best GB/s of reading and of updating, each byte counted once a read and once a write.</returns>
    public static (double Read, double Update) Measure(ThreadTeam team, long bytes)
    {
        long count = bytes / sizeof(float) / 2 / Step * Step;
        using NativeArray x = NativeArray.Random(count, 1), y = NativeArray.Random(count, 2);
        var probe = new BandwidthProbe { _x = x.Pointer, _y = y.Pointer, _count = count, _passes = (int)Math.Max(1, (32L << 20) / bytes) };
        double arrayBytes = sizeof(float) * (double)count * probe._passes / 1e9;
        double read = Timing.Measure(() => RunOnce(team, probe), seconds: 0.1).Best;
        probe._update = true;
        double update = Timing.Measure(() => RunOnce(team, probe), seconds: 0.1).Best;
        return (2 * arrayBytes / read, 3 * arrayBytes / update);
    }

    public void Run<TSimd, TVec>(Member member)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        (long begin, long end) = member.Share(_count, Step);
        for (int pass = 0; pass < _passes; pass++)
        {
            if (_update)
            {
                Update<TSimd, TVec>(_x + begin, _y + begin, end - begin);
            }
            else
            {
                _sink = Sum<TSimd, TVec>(_x + begin, _y + begin, end - begin);
            }
        }
    }

    /// <summary>A team needs its kernel on the stack, which a lambda's captured variable is not.</summary>
    private static void RunOnce(ThreadTeam team, BandwidthProbe probe) => team.Run(ref probe);

    /// <summary>Eight independent sums hide the latency of the addition.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Sum<TSimd, TVec>(float* x, float* y, long count)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec a = TSimd.Zero, b = a, c = a, d = a, e = a, f = a, g = a, h = a;
        for (float* end = x + count; x < end; x += 4 * TSimd.Width, y += 4 * TSimd.Width)
        {
            a = TSimd.Add(a, TSimd.Load(x));
            b = TSimd.Add(b, TSimd.Load(x + TSimd.Width));
            c = TSimd.Add(c, TSimd.Load(x + (2 * TSimd.Width)));
            d = TSimd.Add(d, TSimd.Load(x + (3 * TSimd.Width)));
            e = TSimd.Add(e, TSimd.Load(y));
            f = TSimd.Add(f, TSimd.Load(y + TSimd.Width));
            g = TSimd.Add(g, TSimd.Load(y + (2 * TSimd.Width)));
            h = TSimd.Add(h, TSimd.Load(y + (3 * TSimd.Width)));
        }

        return TSimd.Sum(TSimd.Add(TSimd.Add(TSimd.Add(a, b), TSimd.Add(c, d)), TSimd.Add(TSimd.Add(e, f), TSimd.Add(g, h))));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Update<TSimd, TVec>(float* x, float* y, long count)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec factor = TSimd.Set(1e-6f);
        for (float* end = x + count; x < end; x += 4 * TSimd.Width, y += 4 * TSimd.Width)
        {
            TSimd.Store(y, TSimd.MultiplyAdd(factor, TSimd.Load(x), TSimd.Load(y)));
            TSimd.Store(y + TSimd.Width, TSimd.MultiplyAdd(factor, TSimd.Load(x + TSimd.Width), TSimd.Load(y + TSimd.Width)));
            TSimd.Store(y + (2 * TSimd.Width),
                TSimd.MultiplyAdd(factor, TSimd.Load(x + (2 * TSimd.Width)), TSimd.Load(y + (2 * TSimd.Width))));
            TSimd.Store(y + (3 * TSimd.Width),
                TSimd.MultiplyAdd(factor, TSimd.Load(x + (3 * TSimd.Width)), TSimd.Load(y + (3 * TSimd.Width))));
        }
    }
}
