using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>A part of a formula, its output or the terms of a sum, for one lane of a group.</summary>
internal struct PartLanes<TFusion, TPart> : ISumMap<PartLanes<TFusion, TPart>>
    where TFusion : unmanaged, IFusion
    where TPart : struct, IConstant
{
    private TFusion _fusion;
    private Row<float> _row;

    public static int Sums => 1;

    public static bool NeedsGradient => false;

    public static PartLanes<TFusion, TPart> Of(TFusion fusion, Row<float> row)
    {
        PartLanes<TFusion, TPart> map = default;
        map._fusion = fusion;
        map._row = row;
        return map;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operands<float> Map(PartLanes<TFusion, TPart> map, Operands<float> x, float gradient) =>
        LaneValue.Of(map._fusion, TPart.Value, x, map._row);
}

/// <summary>The slopes of a part along the sums before it, times a gradient.</summary>
internal struct SlopeLanes<TFusion, TPart> : ISumMap<SlopeLanes<TFusion, TPart>>
    where TFusion : unmanaged, IFusion
    where TPart : struct, IConstant
{
    private TFusion _fusion;
    private Row<float> _row;

    public static int Sums => TPart.Value == IFusion.Output ? TFusion.Sums : TPart.Value - 1;

    public static bool NeedsGradient => TPart.Value == IFusion.Output;

    public static SlopeLanes<TFusion, TPart> Of(TFusion fusion, Row<float> row)
    {
        SlopeLanes<TFusion, TPart> map = default;
        map._fusion = fusion;
        map._row = row;
        return map;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operands<float> Map(SlopeLanes<TFusion, TPart> map, Operands<float> x, float gradient) => Operands<float>.Of(
        Along(map, x, gradient, 0), Sums > 1 ? Along(map, x, gradient, 1) : 0, Sums > 2 ? Along(map, x, gradient, 2) : 0);

    private static float Along(SlopeLanes<TFusion, TPart> map, Operands<float> x, float gradient, int sum) =>
        map._fusion.Slope<SingleMath<GpuLane, float>, float>(
            TPart.Value, x.A, x.B, x.C, x.D, map._row, Operands<float>.Most + sum).PassBack(gradient);
}

/// <summary>The gradients of a formula's operands by one of its outputs, for one lane of a group.</summary>
internal struct GradientLanes<TFusion, TOutput> : ILaneMap<GradientLanes<TFusion, TOutput>>
    where TFusion : unmanaged, IFusion
    where TOutput : struct, IConstant
{
    public TFusion Fusion;
    public RowNumbers Numbers;

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operands<float> Map(GradientLanes<TFusion, TOutput> map, Operands<float> x, float gradient) => Operands<float>.Of(
        Along(map, x, gradient, 0),
        TFusion.Count > 1 ? Along(map, x, gradient, 1) : 0,
        TFusion.Count > 2 ? Along(map, x, gradient, 2) : 0,
        TFusion.Count > 3 ? Along(map, x, gradient, 3) : 0);

    /// <summary>By the output, and by the sums of the row.</summary>
    private static float Along(GradientLanes<TFusion, TOutput> map, Operands<float> x, float dy, int operand)
    {
        float gradient = TFusion.IsPerRow ? 0 : Part(map, TOutput.Value, x, dy, operand);
        if (TFusion.Sums > 0)
        {
            gradient += Part(map, 1, x, map.Numbers.Gradients.First, operand);
        }

        if (TFusion.Sums > 1)
        {
            gradient += Part(map, 2, x, map.Numbers.Gradients.Second, operand);
        }

        if (TFusion.Sums > 2)
        {
            gradient += Part(map, 3, x, map.Numbers.Gradients.Third, operand);
        }

        return gradient;
    }

    private static float Part(GradientLanes<TFusion, TOutput> map, int part, Operands<float> x, float gradient, int operand) =>
        map.Fusion.Slope<SingleMath<GpuLane, float>, float>(part, x.A, x.B, x.C, x.D, map.Numbers.Row, operand).PassBack(gradient);
}

/// <summary>Something that is added up over the lanes of groups.</summary>
internal interface ISumMap<TSelf> : ILaneMap<TSelf>
    where TSelf : unmanaged, ISumMap<TSelf>
{
    /// <summary>How many of the results are added up.</summary>
    static abstract int Sums { get; }

    /// <summary>Whether it needs the gradient of the output.</summary>
    static abstract bool NeedsGradient { get; }
}

/// <summary>A part of a fusion for one lane.</summary>
internal static class LaneValue
{
    public static Operands<float> Of<TFusion>(TFusion fusion, int part, Operands<float> x, Row<float> row)
        where TFusion : unmanaged, IFusion
    {
        Row<Real<SingleMath<GpuLane, float>, float>> sums = default;
        if (TFusion.Sums > 0)
        {
            sums.Maximum = new(row.Maximum);
            sums.First = new(row.First);
            sums.Second = new(row.Second);
            sums.Third = new(row.Third);
            sums.Count = new(row.Count);
        }

        Operands<float> value = default;
        value.A = fusion.Value<Real<SingleMath<GpuLane, float>, float>>(
            part, new(x.A), new(x.B), new(x.C), new(x.D), sums).Value;
        return value;
    }
}
