using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class SimdTests
{
    /// <summary>What goes wrong first: zeros of both signs, subnormals, infinities, NaN, ties, extremes.</summary>
    private static readonly float[] Special =
    [
        0, -0f, 1, -1, 0.5f, 1.5f, 2.5f, -2.5f, 3, 1e-40f, -1e-40f, float.Epsilon, float.MaxValue, float.MinValue, 1.1754944e-38f,
        float.PositiveInfinity, float.NegativeInfinity, float.NaN, 8388607.5f, 16777216, 0.1f, 1e30f, 1e-30f,
    ];

    private static bool Fuses => Fma.IsSupported || AdvSimd.IsSupported;

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Levels))]
    public void Arithmetic_equals_the_scalar_formulas(SimdLevel level)
    {
        var simd = SimdProbe.For(level);
        Compare(simd, simd.Add, (a, b) => a + b);
        Compare(simd, simd.Subtract, (a, b) => a - b);
        Compare(simd, simd.Multiply, (a, b) => a * b);
        Compare(simd, simd.Divide, (a, b) => a / b);
        Compare(simd, simd.Max, (a, b) => a > b ? a : b);
        Compare(simd, simd.Min, (a, b) => a < b ? a : b);
        Compare(simd, (a, _) => simd.Sqrt(a), (a, _) => MathF.Sqrt(a));
        Compare(simd, (a, _) => simd.Round(a), (a, _) => MathF.Round(a, MidpointRounding.ToEven));
        Compare(simd, (a, b) => simd.MultiplyAdd(a, b, Reverse(a)), (a, b, c) => Fuses ? MathF.FusedMultiplyAdd(a, b, c) : (a * b) + c);
        Compare(simd, (a, b) => simd.NegativeMultiplyAdd(a, b, Reverse(a)),
            (a, b, c) => Fuses ? MathF.FusedMultiplyAdd(-a, b, c) : c - (a * b));
        Compare(simd, (a, b) => simd.SelectGreater(a, b, Reverse(a), b), (a, b, c) => a > b ? c : b);
        simd.Zero().ShouldBe(new float[simd.Width]);
        simd.Set(3.5f).ShouldAllBe(x => x == 3.5f);
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Powers_of_two_are_exact(SimdLevel level)
    {
        var simd = SimdProbe.For(level);
        for (int n = -126; n <= 127; n++)
        {
            float[] x = [.. Enumerable.Range(0, simd.Width).Select(i => n < 0 ? 1.5f + i : 1 + (i / 64f))];
            float[] scaled = simd.ScaleByPowerOfTwo(x, simd.Set(n));
            scaled.ShouldBe(x.Select(value => MathF.ScaleB(value, n)), $"n = {n}");
            simd.Exponent(scaled).ShouldBe(scaled.Select(value => (float)MathF.ILogB(value)), $"n = {n}");
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Reductions_use_the_documented_tree(SimdLevel level)
    {
        var simd = SimdProbe.For(level);
        for (int seed = 0; seed < 100; seed++)
        {
            float[] values = Numbers.Random(simd.Width, seed, 100);
            float[] sums = [.. values];
            for (int half = simd.Width / 2; half >= 1; half /= 2)
            {
                for (int i = 0; i < half; i++)
                {
                    sums[i] += sums[i + half];
                }
            }

            simd.Sum(values).ShouldBe(sums[0]);
            simd.HorizontalMax(values).ShouldBe(values.Max());
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Partial_loads_and_stores_touch_nothing_outside(SimdLevel level)
    {
        var simd = SimdProbe.For(level);
        float[] value = [.. Enumerable.Range(1, simd.Width).Select(i => (float)i)];
        foreach (Edge edge in Enum.GetValues<Edge>())
        {
            for (int count = 0; count <= simd.Width; count++)
            {
                using var buffer = new GuardedBuffer<float>(value.AsSpan(0, count), edge);
                float[] loaded = simd.LoadPartial(buffer, count);
                loaded[..count].ShouldBe(value[..count]);
                loaded[count..].ShouldAllBe(x => x == 0);
                buffer.Span.Clear();
                simd.StorePartial(buffer, value, count);
                buffer.Span.ToArray().ShouldBe(value[..count]);
            }
        }

        using var guard = new GuardedBuffer<float>(1);
        simd.Prefetch(guard.Pointer + 1);
        simd.Prefetch(null);
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Every_half_widens_as_a_cast_does(SimdLevel level)
    {
        var simd = SimdProbe.For(level);
        Half[] halves = [.. Enumerable.Range(0, 65536).Select(bits => BitConverter.UInt16BitsToHalf((ushort)bits))];
        using var buffer = new GuardedBuffer<Half>(halves);
        for (int i = 0; i < halves.Length; i += simd.Width)
        {
            float[] widened = simd.LoadHalf(buffer.Pointer + i);
            for (int lane = 0; lane < simd.Width; lane++)
            {
                SameBits(widened[lane], (float)halves[i + lane]).ShouldBeTrue($"half {i + lane:x4}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Narrowing_rounds_as_a_cast_does(SimdLevel level)
    {
        var simd = SimdProbe.For(level);
        var values = new List<float>(Special) { 65504, 65519.996f, 65520, 65536, -65520, 5.9604645e-8f, 2.9802322e-8f, 2.980233e-8f };
        for (int bits = 0; bits < 0x7c00; bits++)
        {
            // A half, the tie above it and the floats beside the tie, with both signs in turn.
            float half = (float)BitConverter.UInt16BitsToHalf((ushort)(bits | (bits % 2 == 0 ? 0 : 0x8000)));
            float next = (float)BitConverter.UInt16BitsToHalf((ushort)((bits + 1) | (bits % 2 == 0 ? 0 : 0x8000)));
            float tie = float.IsInfinity(next) ? MathF.CopySign(65520, half) : (half + next) / 2;
            values.AddRange([half, tie, MathF.BitDecrement(tie), MathF.BitIncrement(tie)]);
        }

        var random = new Random(1);
        for (int i = 0; i < 200_000; i++)
        {
            values.Add(BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue)));
        }

        using var buffer = new GuardedBuffer<Half>(simd.Width);
        for (int i = 0; i + simd.Width <= values.Count; i += simd.Width)
        {
            float[] chunk = [.. values.GetRange(i, simd.Width)];
            simd.StoreHalf(buffer, chunk);
            for (int lane = 0; lane < simd.Width; lane++)
            {
                var expected = (Half)chunk[lane];
                bool same = Half.IsNaN(expected)
                    ? Half.IsNaN(buffer.Span[lane])
                    : BitConverter.HalfToUInt16Bits(expected) == BitConverter.HalfToUInt16Bits(buffer.Span[lane]);
                same.ShouldBeTrue($"{chunk[lane]:R} became {buffer.Span[lane]}, not {expected}");
            }
        }
    }

    private static float[] Reverse(float[] values) => [.. Enumerable.Reverse(values)];

    private static void Compare(SimdProbe simd, Func<float[], float[], float[]> vector, Func<float, float, float> scalar) =>
        Compare(simd, vector, (a, b, _) => scalar(a, b));

    /// <summary>All pairs of special numbers, and random ones; the third operand is the first in reverse order.</summary>
    private static void Compare(SimdProbe simd, Func<float[], float[], float[]> vector, Func<float, float, float, float> scalar)
    {
        float[] random = Numbers.Random(2000, 5, 1000);
        float[] left = [.. Special.SelectMany(x => Enumerable.Repeat(x, Special.Length)), .. random];
        float[] right = [.. Enumerable.Repeat(Special, Special.Length).SelectMany(x => x), .. random.Reverse()];
        for (int i = 0; i + simd.Width <= left.Length; i += simd.Width)
        {
            float[] a = left[i..(i + simd.Width)];
            float[] b = right[i..(i + simd.Width)];
            float[] actual = vector(a, b);
            for (int lane = 0; lane < simd.Width; lane++)
            {
                float c = a[simd.Width - 1 - lane];
                float expected = scalar(a[lane], b[lane], c);
                SameBits(actual[lane], expected)
                    .ShouldBeTrue($"a = {a[lane]:R}, b = {b[lane]:R}, c = {c:R}: {actual[lane]:R} instead of {expected:R}");
            }
        }
    }

    /// <summary>Any NaN equals any NaN; zeros of different sign differ.</summary>
    private static bool SameBits(float a, float b) =>
        (float.IsNaN(a) && float.IsNaN(b)) || BitConverter.SingleToInt32Bits(a) == BitConverter.SingleToInt32Bits(b);
}
