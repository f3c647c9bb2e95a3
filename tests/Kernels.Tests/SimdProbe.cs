using System.Runtime.Intrinsics;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Tests;

/// <summary>The members of a SIMD level as functions of arrays of <see cref="Width"/> numbers.</summary>
internal abstract class SimdProbe
{
    public abstract int Width { get; }

    public abstract float[] Zero();

    public abstract float[] Set(float value);

    public abstract float[] Add(float[] a, float[] b);

    public abstract float[] Subtract(float[] a, float[] b);

    public abstract float[] Multiply(float[] a, float[] b);

    public abstract float[] Divide(float[] a, float[] b);

    public abstract float[] Max(float[] a, float[] b);

    public abstract float[] Min(float[] a, float[] b);

    public abstract float[] ScaleByPowerOfTwo(float[] x, float[] n);

    public abstract float[] Sqrt(float[] a);

    public abstract float[] Round(float[] a);

    public abstract float[] Exponent(float[] a);

    public abstract float[] MultiplyAdd(float[] a, float[] b, float[] c);

    public abstract float[] NegativeMultiplyAdd(float[] a, float[] b, float[] c);

    public abstract float[] SelectGreater(float[] a, float[] b, float[] whenTrue, float[] whenFalse);

    public abstract float Sum(float[] a);

    public abstract float HorizontalMax(float[] a);

    public abstract unsafe float[] LoadPartial(float* source, int count);

    public abstract unsafe void StorePartial(float* destination, float[] value, int count);

    public abstract unsafe float[] LoadHalf(Half* source);

    public abstract unsafe void StoreHalf(Half* destination, float[] value);

    public abstract unsafe void Prefetch(float* address);

    public static SimdProbe For(SimdLevel level) => level switch
    {
        SimdLevel.V512 => new Of<Simd512, Vector512<float>>(),
        SimdLevel.V256 => new Of<Simd256, Vector256<float>>(),
        _ => new Of<Simd128, Vector128<float>>(),
    };

    private sealed unsafe class Of<TSimd, TVec> : SimdProbe
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        public override int Width => TSimd.Width;

        public override float[] Zero() => Write(TSimd.Zero);

        public override float[] Set(float value) => Write(TSimd.Set(value));

        public override float[] Add(float[] a, float[] b) => Write(TSimd.Add(Read(a), Read(b)));

        public override float[] Subtract(float[] a, float[] b) => Write(TSimd.Subtract(Read(a), Read(b)));

        public override float[] Multiply(float[] a, float[] b) => Write(TSimd.Multiply(Read(a), Read(b)));

        public override float[] Divide(float[] a, float[] b) => Write(TSimd.Divide(Read(a), Read(b)));

        public override float[] Max(float[] a, float[] b) => Write(TSimd.Max(Read(a), Read(b)));

        public override float[] Min(float[] a, float[] b) => Write(TSimd.Min(Read(a), Read(b)));

        public override float[] ScaleByPowerOfTwo(float[] x, float[] n) => Write(TSimd.ScaleByPowerOfTwo(Read(x), Read(n)));

        public override float[] Sqrt(float[] a) => Write(TSimd.Sqrt(Read(a)));

        public override float[] Round(float[] a) => Write(TSimd.Round(Read(a)));

        public override float[] Exponent(float[] a) => Write(TSimd.Exponent(Read(a)));

        public override float[] MultiplyAdd(float[] a, float[] b, float[] c) => Write(TSimd.MultiplyAdd(Read(a), Read(b), Read(c)));

        public override float[] NegativeMultiplyAdd(float[] a, float[] b, float[] c) =>
            Write(TSimd.NegativeMultiplyAdd(Read(a), Read(b), Read(c)));

        public override float[] SelectGreater(float[] a, float[] b, float[] whenTrue, float[] whenFalse) =>
            Write(TSimd.SelectGreater(Read(a), Read(b), Read(whenTrue), Read(whenFalse)));

        public override float Sum(float[] a) => TSimd.Sum(Read(a));

        public override float HorizontalMax(float[] a) => TSimd.HorizontalMax(Read(a));

        public override float[] LoadPartial(float* source, int count) => Write(TSimd.LoadPartial(source, count));

        public override void StorePartial(float* destination, float[] value, int count) =>
            TSimd.StorePartial(destination, Read(value), count);

        public override float[] LoadHalf(Half* source) => Write(TSimd.LoadHalf(source));

        public override void StoreHalf(Half* destination, float[] value) => TSimd.StoreHalf(destination, Read(value));

        public override void Prefetch(float* address) => TSimd.Prefetch(address);

        private static TVec Read(float[] values)
        {
            values.Length.ShouldBe(TSimd.Width);
            fixed (float* pointer = values)
            {
                return TSimd.Load(pointer);
            }
        }

        private static float[] Write(TVec value)
        {
            float[] result = new float[TSimd.Width];
            fixed (float* pointer = result)
            {
                TSimd.Store(pointer, value);
            }

            return result;
        }
    }
}
