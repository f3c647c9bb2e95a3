using CudaTrainer.Kernels.Formulas;
using ILGPU;
using ILGPU.Algorithms;

namespace CudaTrainer.Kernels.Device;

/// <summary>Eight numbers side by side.</summary>
internal unsafe struct Eight : IGroup<Eight>
{
    public Four Low, High;

    public static int Lanes => 8;

    public static Eight Of(Four low, Four high)
    {
        Eight eight = default;
        eight.Low = low;
        eight.High = high;
        return eight;
    }

    public static Eight operator +(Eight left, Eight right) => Of(left.Low + right.Low, left.High + right.High);

    public static Eight operator -(Eight left, Eight right) => Of(left.Low - right.Low, left.High - right.High);

    public static Eight operator *(Eight left, Eight right) => Of(left.Low * right.Low, left.High * right.High);

    public static Eight operator /(Eight left, Eight right) => Of(left.Low / right.Low, left.High / right.High);

    public static Eight Splat(float value) => Of(Four.Splat(value), Four.Splat(value));

    public static Eight Fma(Eight a, Eight b, Eight c) => Of(Four.Fma(a.Low, b.Low, c.Low), Four.Fma(a.High, b.High, c.High));

    public static Eight Abs(Eight x) => Of(Four.Abs(x.Low), Four.Abs(x.High));

    public static Eight Relu(Eight x) => Of(Four.Relu(x.Low), Four.Relu(x.High));

    public static Eight Max(Eight left, Eight right) => Of(Four.Max(left.Low, right.Low), Four.Max(left.High, right.High));

    public static Eight Sqrt(Eight x) => Of(Four.Sqrt(x.Low), Four.Sqrt(x.High));

    public static Eight ReciprocalSqrt(Eight x) => Of(Four.ReciprocalSqrt(x.Low), Four.ReciprocalSqrt(x.High));

    public static Eight WherePositive(Eight condition, Eight value) =>
        Of(Four.WherePositive(condition.Low, value.Low), Four.WherePositive(condition.High, value.High));

    public static Eight Keep(Eight values, uint bits, float scale) =>
        Of(Four.Keep(values.Low, bits, scale), Four.Keep(values.High, bits >> 4, scale));

    public static Eight RoundToHalf(Eight values) => Of(Four.RoundToHalf(values.Low), Four.RoundToHalf(values.High));

    public static Eight ShuffleXor(Eight values, int mask) => Of(Four.ShuffleXor(values.Low, mask), Four.ShuffleXor(values.High, mask));

    public static float Sum(Eight values) => Four.Sum(values.Low) + Four.Sum(values.High);

    public static float Largest(Eight values) => XMath.Max(Four.Largest(values.Low), Four.Largest(values.High));

    public static Eight ReadOther(byte* array, long index, long available, int aligned) =>
        ReadFloats((float*)array + index, available, aligned);

    public static void WriteOther(byte* array, long index, long available, int aligned, Eight values) =>
        WriteFloats((float*)array + index, available, aligned, values);

    public static Eight First(Eight values, long count) => Of(Four.First(values.Low, count), Four.First(values.High, count - 4));

    public static Operands<Eight> Map<TMap>(TMap map, Operands<Eight> x, Eight gradient)
        where TMap : unmanaged, ILaneMap<TMap>
    {
        Operands<Four> low = Four.Map(map, Operands<Four>.Of(x.A.Low, x.B.Low, x.C.Low, x.D.Low), gradient.Low);
        Operands<Four> high = Four.Map(map, Operands<Four>.Of(x.A.High, x.B.High, x.C.High, x.D.High), gradient.High);
        return Operands<Eight>.Of(Of(low.A, high.A), Of(low.B, high.B), Of(low.C, high.C), Of(low.D, high.D));
    }

    public static Eight ReadFloats(float* from, long available, int aligned) => aligned != 0 && available >= 8
        ? Of(*(Four*)from, *(Four*)(from + 4))
        : ReadLanes(from, Four.LanesOf(available, Lanes));

    public static void WriteFloats(float* to, long available, int aligned, Eight values)
    {
        if (aligned != 0 && available >= 8)
        {
            *(Four*)to = values.Low;
            *(Four*)(to + 4) = values.High;
        }
        else
        {
            int count = Four.LanesOf(available, Lanes);
            Four.WriteLanes(to, count, values.Low);
            Four.WriteLanes(to + 4, count - 4, values.High);
        }
    }

    public static void WriteShared(ArrayView<Four> to, int group, Eight values)
    {
        to[2 * group] = values.Low;
        to[(2 * group) + 1] = values.High;
    }

    private static Eight ReadLanes(float* from, int available) =>
        Of(Four.ReadLanes(from, available), Four.ReadLanes(from + 4, available - 4));
}
