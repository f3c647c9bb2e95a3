namespace CudaTrainer.Kernels.Formulas;

/// <summary>A part of a fusion as a type: what is generic over it is compiled for that part alone.</summary>
internal interface IPart
{
    static abstract int Number { get; }
}

internal readonly struct OutputPart : IPart
{
    public static int Number => IFusion.Output;
}

internal readonly struct FirstSum : IPart
{
    public static int Number => 1;
}

internal readonly struct SecondSum : IPart
{
    public static int Number => 2;
}

internal readonly struct ThirdSum : IPart
{
    public static int Number => 3;
}
