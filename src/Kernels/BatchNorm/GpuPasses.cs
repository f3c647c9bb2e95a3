using CudaTrainer.Kernels.Device;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Mean and Σ(x − mean)² of a group of channels.</summary>
internal struct BatchMoments<TGroup>
    where TGroup : unmanaged, IGroup<TGroup>
{
    public TGroup Mean;
    public TGroup Squares;

    /// <summary>Every thread of the block calls.</summary>
    public static BatchMoments<TGroup> Of<TElement>(
        ColumnBlock<TGroup> block, BatchNormArguments a, ArrayView<Four> sumParts, ArrayView<Four> squareParts)
        where TElement : struct, IElement<TGroup>
    {
        BatchMoments<TGroup> moments = default;
        var values = RowValues<TElement, TGroup>.Of(a.X);
        TGroup sums = ColumnBlock<TGroup>.SumRows<RowValues<TElement, TGroup>, TGroup, TGroup>(block, a.Rows, a.Aligned, values);
        moments.Mean = ColumnBlock<TGroup>.Sum(block, sums, sumParts) * TGroup.Splat(a.PerRow);

        // The mean is subtracted before squaring, so a large mean cancels nothing.
        CentredSquares<TElement, TGroup> terms = default;
        terms.X = a.X;
        terms.Mean = moments.Mean;
        TGroup squares = ColumnBlock<TGroup>.SumRows<CentredSquares<TElement, TGroup>, TGroup, TGroup>(block, a.Rows, a.Aligned, terms);
        moments.Squares = ColumnBlock<TGroup>.Sum(block, squares, squareParts);
        return moments;
    }
}

/// <summary>(x − mean)².</summary>
internal unsafe struct CentredSquares<TElement, TGroup> : IRowTerms<CentredSquares<TElement, TGroup>, TGroup, TGroup>
    where TElement : struct, IElement<TGroup>
    where TGroup : unmanaged, IGroup<TGroup>
{
    public GpuArray X;
    public TGroup Mean;

    public static TGroup Read(CentredSquares<TElement, TGroup> reader, long place, long available, int aligned) =>
        TElement.ReadGroup(reader.X.Start, place, available, aligned);

    public static TGroup Add(CentredSquares<TElement, TGroup> terms, TGroup sums, TGroup row, long place)
    {
        TGroup distance = row - terms.Mean;
        return TGroup.Fma(distance, distance, sums);
    }

    public static TGroup Join(TGroup left, TGroup right) => left + right;
}

/// <summary>y = dropout(relu(γ/√(σ² + ε)·(x − μ) + β)).</summary>
internal unsafe struct Normalization<TElement, TGroup> : IRowMap<Normalization<TElement, TGroup>, TGroup, TGroup>
    where TElement : struct, IElement<TGroup>
    where TGroup : unmanaged, IGroup<TGroup>
{
    public GpuArray X;
    public TGroup Mean;

    /// <summary>γ/√(σ² + ε).</summary>
    public TGroup Scale;

    public TGroup Shift;
    public DropoutMask Dropout;
    public int Relu;

    public static TGroup Read(Normalization<TElement, TGroup> reader, long place, long available, int aligned) =>
        TElement.ReadGroup(reader.X.Start, place, available, aligned);

    public static TGroup Map(Normalization<TElement, TGroup> map, TGroup row, long place)
    {
        TGroup y = Apply(row, map.Mean, map.Scale, map.Shift);
        return DropoutMask.Apply(map.Dropout, place, map.Relu != 0 ? TGroup.Relu(y) : y);
    }

    /// <summary>One expression, rounded as it says: backward sees the very number that forward clamped.</summary>
    public static TGroup Apply(TGroup x, TGroup mean, TGroup scale, TGroup shift) => TGroup.Fma(x - mean, scale, shift);
}

/// <summary>Two numbers for each of a group of channels: ∂L/∂y and x, g and x̂, or the sums Σg and Σ g·x̂.</summary>
internal struct GradientPair<TGroup>
    where TGroup : unmanaged, IGroup<TGroup>
{
    public TGroup Gradient;
    public TGroup Other;

    public static GradientPair<TGroup> Of(TGroup gradient, TGroup other)
    {
        GradientPair<TGroup> pair = default;
        pair.Gradient = gradient;
        pair.Other = other;
        return pair;
    }
}

/// <summary>
/// g = ∂L/∂y behind mask and ReLU, and x̂ = (x − μ)/√(σ² + ε): their sums, and what becomes of them when the sums over all rows are known.
/// </summary>
internal unsafe struct GradientTerms<TElement, TGroup>
    : IRowTerms<GradientTerms<TElement, TGroup>, GradientPair<TGroup>, GradientPair<TGroup>>,
      IRowMap<GradientTerms<TElement, TGroup>, GradientPair<TGroup>, TGroup>
    where TElement : struct, IElement<TGroup>
    where TGroup : unmanaged, IGroup<TGroup>
{
    private GpuArray _dy;
    private GpuArray _x;
    private TGroup _mean;
    private TGroup _inverse;
    private TGroup _scale;
    private TGroup _shift;
    private DropoutMask _dropout;
    private int _relu;

    /// <summary>Σg and Σ g·x̂ divided by how many rows they are of; for the map only.</summary>
    public GradientPair<TGroup> Means;

    public static GradientTerms<TElement, TGroup> Of(ColumnBlock<TGroup> block, BatchNormArguments a)
    {
        GradientTerms<TElement, TGroup> terms = default;
        terms._dy = a.Dy;
        terms._x = a.X;
        terms._mean = block.ReadFloats(a.Mean, a.FloatsAligned);
        terms._inverse = block.ReadFloats(a.Inverse, a.FloatsAligned);
        terms._scale = block.ReadFloats(a.Gamma, a.FloatsAligned) * terms._inverse;
        terms._shift = block.ReadFloats(a.Beta, a.FloatsAligned);
        terms._dropout = DropoutMask.Of(a.Dropout);
        terms._relu = a.Relu;
        return terms;
    }

    public static GradientPair<TGroup> Read(GradientTerms<TElement, TGroup> reader, long place, long available, int aligned)
    {
        TGroup dy = TElement.ReadGroup(reader._dy.Start, place, available, aligned);
        return GradientPair<TGroup>.Of(dy, TElement.ReadGroup(reader._x.Start, place, available, aligned));
    }

    public static GradientPair<TGroup> Add(
        GradientTerms<TElement, TGroup> terms, GradientPair<TGroup> sums, GradientPair<TGroup> row, long place)
    {
        GradientPair<TGroup> term = Term(terms, row, place);
        return GradientPair<TGroup>.Of(sums.Gradient + term.Gradient, TGroup.Fma(term.Gradient, term.Other, sums.Other));
    }

    public static GradientPair<TGroup> Join(GradientPair<TGroup> left, GradientPair<TGroup> right) =>
        GradientPair<TGroup>.Of(left.Gradient + right.Gradient, left.Other + right.Other);

    /// <summary>∂L/∂x = γ/√(σ² + ε)·(g − mean(g) − x̂·mean(g·x̂)).</summary>
    public static TGroup Map(GradientTerms<TElement, TGroup> map, GradientPair<TGroup> row, long place)
    {
        GradientPair<TGroup> term = Term(map, row, place);
        return map._scale * (term.Gradient - map.Means.Gradient - (term.Other * map.Means.Other));
    }

    /// <summary>Σg and Σ g·x̂ over the rows. Every thread of the block calls.</summary>
    public readonly GradientPair<TGroup> Sum(
        ColumnBlock<TGroup> block, BatchNormArguments a, ArrayView<Four> shiftParts, ArrayView<Four> scaleParts)
    {
        GradientPair<TGroup> sums =
            ColumnBlock<TGroup>.SumRows<GradientTerms<TElement, TGroup>, GradientPair<TGroup>, GradientPair<TGroup>>(
            block, a.Rows, a.Aligned, this);
        TGroup shift = ColumnBlock<TGroup>.Sum(block, sums.Gradient, shiftParts);
        return GradientPair<TGroup>.Of(shift, ColumnBlock<TGroup>.Sum(block, sums.Other, scaleParts));
    }

    /// <summary>∂L/∂x of the rows.</summary>
    public readonly void WriteInputGradients(ColumnBlock<TGroup> block, BatchNormArguments a) =>
        ColumnBlock<TGroup>.MapRows<TElement, GradientTerms<TElement, TGroup>, GradientPair<TGroup>>(
            block, a.Rows, a.Aligned, this, a.Output);

    private static GradientPair<TGroup> Term(GradientTerms<TElement, TGroup> terms, GradientPair<TGroup> row, long place)
    {
        TGroup gradient = DropoutMask.Apply(terms._dropout, place, row.Gradient);
        if (terms._relu != 0)
        {
            TGroup clamped = Normalization<TElement, TGroup>.Apply(row.Other, terms._mean, terms._scale, terms._shift);
            gradient = TGroup.WherePositive(clamped, gradient);
        }

        return GradientPair<TGroup>.Of(gradient, (row.Other - terms._mean) * terms._inverse);
    }
}
