namespace CudaTrainer.Kernels.Formulas;

/// <summary>A number as a type: what is generic over it is compiled for that number alone.</summary>
internal interface IConstant
{
    static abstract int Value { get; }
}

/// <summary>The numbers there are.</summary>
internal static class Constants
{
    public static readonly Type[] Types =
        [typeof(Zero), typeof(One), typeof(Two), typeof(Three), typeof(Four), typeof(Five), typeof(Six)];

    public readonly struct Zero : IConstant
    {
        public static int Value => 0;
    }

    public readonly struct One : IConstant
    {
        public static int Value => 1;
    }

    public readonly struct Two : IConstant
    {
        public static int Value => 2;
    }

    public readonly struct Three : IConstant
    {
        public static int Value => 3;
    }

    public readonly struct Four : IConstant
    {
        public static int Value => 4;
    }

    public readonly struct Five : IConstant
    {
        public static int Value => 5;
    }

    public readonly struct Six : IConstant
    {
        public static int Value => 6;
    }
}
