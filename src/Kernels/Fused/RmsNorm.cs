using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>x / √(mean of x² + ε) · scale (Zhang and Sennrich, 2019): operands x, and scale by channel.</summary>
public readonly record struct RmsNorm(float Epsilon) : IRowFormula, IFormulaExample<RmsNorm>
{
    public static RmsNorm Example => new(1e-5f);

    public static int Operands => 2;

    public static int Sums => 1;

    public static bool NeedsMaximum => false;

    public static bool IsPerRow => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Term<T>(int sum, Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => x.A * x.A;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Finish<T>(int sum, T total, T count)
        where T : unmanaged, IReal<T>
        => T.ReciprocalSqrt((total / count) + Epsilon);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => x.A * row.First * x.B;
}
