using CudaTrainer.Kernels.Formulas;
using ILGPU;
using ILGPU.Algorithms;

namespace CudaTrainer.Kernels.Device;

/// <summary>Four numbers side by side. As four floats in memory it is read and written in one 16-byte access
/// (<see cref="PtxText"/>).</summary>
internal unsafe struct Four : IGroup<Four>
{
    public float A, B, C, D;

    public static int Lanes => 4;

    public static Four Of(float a, float b, float c, float d)
    {
        Four four = default;
        four.A = a;
        four.B = b;
        four.C = c;
        four.D = d;
        return four;
    }

    public static Four operator +(Four left, Four right) => Of(left.A + right.A, left.B + right.B, left.C + right.C, left.D + right.D);

    public static Four operator -(Four left, Four right) => Of(left.A - right.A, left.B - right.B, left.C - right.C, left.D - right.D);

    public static Four operator *(Four left, Four right) => Of(left.A * right.A, left.B * right.B, left.C * right.C, left.D * right.D);

    public static Four operator /(Four left, Four right) => Of(left.A / right.A, left.B / right.B, left.C / right.C, left.D / right.D);

    public static Four Splat(float value) => Of(value, value, value, value);

    public static Four Fma(Four a, Four b, Four c) =>
        Of(GpuMath.Fma(a.A, b.A, c.A), GpuMath.Fma(a.B, b.B, c.B), GpuMath.Fma(a.C, b.C, c.C), GpuMath.Fma(a.D, b.D, c.D));

    public static Four Abs(Four x) => Of(GpuMath.Abs(x.A), GpuMath.Abs(x.B), GpuMath.Abs(x.C), GpuMath.Abs(x.D));

    public static Four Relu(Four x) => Of(GpuMath.Relu(x.A), GpuMath.Relu(x.B), GpuMath.Relu(x.C), GpuMath.Relu(x.D));

    public static Four Max(Four left, Four right) => Of(
        XMath.Max(left.A, right.A), XMath.Max(left.B, right.B), XMath.Max(left.C, right.C), XMath.Max(left.D, right.D));

    public static Four Sqrt(Four x) => Of(GpuMath.Sqrt(x.A), GpuMath.Sqrt(x.B), GpuMath.Sqrt(x.C), GpuMath.Sqrt(x.D));

    public static Four ReciprocalSqrt(Four x) =>
        Of(GpuMath.ReciprocalSqrt(x.A), GpuMath.ReciprocalSqrt(x.B), GpuMath.ReciprocalSqrt(x.C), GpuMath.ReciprocalSqrt(x.D));

    public static Four WherePositive(Four condition, Four value) => Of(
        condition.A > 0 ? value.A : 0, condition.B > 0 ? value.B : 0, condition.C > 0 ? value.C : 0, condition.D > 0 ? value.D : 0);

    public static Four Keep(Four values, uint bits, float scale) => Of(
        values.A * ((bits & 1) != 0 ? scale : 0), values.B * ((bits & 2) != 0 ? scale : 0), values.C * ((bits & 4) != 0 ? scale : 0),
        values.D * ((bits & 8) != 0 ? scale : 0));

    public static Four RoundToHalf(Four values) => Of(
        Float16.Widen(Float16.Narrow(values.A)), Float16.Widen(Float16.Narrow(values.B)), Float16.Widen(Float16.Narrow(values.C)),
        Float16.Widen(Float16.Narrow(values.D)));

    public static Four ShuffleXor(Four values, int mask) =>
        Of(
            Warp.ShuffleXor(values.A, mask), Warp.ShuffleXor(values.B, mask),
            Warp.ShuffleXor(values.C, mask), Warp.ShuffleXor(values.D, mask));

    public static float Sum(Four values) => (values.A + values.B) + (values.C + values.D);

    public static float Largest(Four values) => XMath.Max(XMath.Max(values.A, values.B), XMath.Max(values.C, values.D));

    public static Four ReadFloats(float* from, long available, int aligned) =>
        aligned != 0 && available >= 4 ? *(Four*)from : ReadLanes(from, LanesOf(available, Lanes));

    public static void WriteFloats(float* to, long available, int aligned, Four values)
    {
        if (aligned != 0 && available >= 4)
        {
            *(Four*)to = values;
        }
        else
        {
            WriteLanes(to, LanesOf(available, Lanes), values);
        }
    }

    public static Four ReadOther(byte* array, long index, long available, int aligned) =>
        Float16.ReadFour(array, index, available, aligned);

    public static void WriteOther(byte* array, long index, long available, int aligned, Four values) =>
        Float16.WriteFour((ushort*)array + index, available, aligned, values);

    public static Four First(Four values, long count) =>
        Of(count > 0 ? values.A : 0, count > 1 ? values.B : 0, count > 2 ? values.C : 0, count > 3 ? values.D : 0);

    public static Operands<Four> Map<TMap>(TMap map, Operands<Four> x, Four gradient)
        where TMap : unmanaged, ILaneMap<TMap>
    {
        Operands<float> a = TMap.Map(map, Operands<float>.Of(x.A.A, x.B.A, x.C.A, x.D.A), gradient.A);
        Operands<float> b = TMap.Map(map, Operands<float>.Of(x.A.B, x.B.B, x.C.B, x.D.B), gradient.B);
        Operands<float> c = TMap.Map(map, Operands<float>.Of(x.A.C, x.B.C, x.C.C, x.D.C), gradient.C);
        Operands<float> d = TMap.Map(map, Operands<float>.Of(x.A.D, x.B.D, x.C.D, x.D.D), gradient.D);
        return Operands<Four>.Of(
            Of(a.A, b.A, c.A, d.A), Of(a.B, b.B, c.B, d.B), Of(a.C, b.C, c.C, d.C), Of(a.D, b.D, c.D, d.D));
    }

    public static void WriteShared(ArrayView<Four> to, int group, Four values) => to[group] = values;

    /// <summary>How many lanes there are elements for: a comparison in 32 bits for each lane takes half as long as one in 64.</summary>
    public static int LanesOf(long available, int lanes) => available < lanes ? (int)available : lanes;

    /// <summary>Element by element, for groups that are not whole or not aligned.</summary>
    public static Four ReadLanes(float* from, int available) => Of(
        available > 0 ? from[0] : 0, available > 1 ? from[1] : 0, available > 2 ? from[2] : 0, available > 3 ? from[3] : 0);

    /// <inheritdoc cref="ReadLanes"/>
    public static void WriteLanes(float* to, int available, Four values)
    {
        if (available > 0)
        {
            to[0] = values.A;
        }

        if (available > 1)
        {
            to[1] = values.B;
        }

        if (available > 2)
        {
            to[2] = values.C;
        }

        if (available > 3)
        {
            to[3] = values.D;
        }
    }
}
