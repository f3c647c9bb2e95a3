namespace CudaTrainer.Kernels.Formulas;

/// <summary>Which parts of a formula depend on what: their slopes along the rest are 0, and need no pass.</summary>
internal readonly struct Dependence
{
    /// <summary>Where <see cref="On"/> asks about <see cref="Row{T}.Maximum"/>, behind operands and sums.</summary>
    public const int Maximum = Operands<float>.Most + Row<float>.MostSums;

    private const int Alongs = Maximum + 1;

    private readonly uint _bits;

    private Dependence(uint bits) => _bits = bits;

    /// <summary>That follows from the formula and its options, not from numbers.</summary>
    public static Dependence Of<TFusion>(TFusion fusion)
        where TFusion : unmanaged, IFusion
    {
        Row<double> ones = new() { Maximum = 1, First = 1, Second = 1, Third = 1, Count = 1 };
        uint bits = 0;
        for (int index = 0; index < (TFusion.Outputs + TFusion.Sums) * Alongs; index++)
        {
            bool varies = Derivative.Of<TFusion, DoubleMath, double>(
                fusion, index / Alongs, 1, 1, 1, 1, ones, index % Alongs).Varies;
            bits |= varies ? 1u << index : 0;
        }

        return new Dependence(bits);
    }

    /// <inheritdoc cref="IFusion.Slope"/>
    public bool On(int part, int along) => (_bits >> ((part * Alongs) + along) & 1) != 0;
}
