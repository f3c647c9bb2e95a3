using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Engine.Checks;

// The operations of formulas, each as a formula of its own: what a formula is made of that is not fused.

internal readonly struct Sum : IFormula2
{
    public T Forward<T>(T a, T b)
        where T : unmanaged, IReal<T>
        => a + b;
}

internal readonly struct Difference : IFormula2
{
    public T Forward<T>(T a, T b)
        where T : unmanaged, IReal<T>
        => a - b;
}

internal readonly struct Product : IFormula2
{
    public T Forward<T>(T a, T b)
        where T : unmanaged, IReal<T>
        => a * b;
}

internal readonly struct Quotient : IFormula2
{
    public T Forward<T>(T a, T b)
        where T : unmanaged, IReal<T>
        => a / b;
}

internal readonly struct Larger : IFormula2
{
    public T Forward<T>(T a, T b)
        where T : unmanaged, IReal<T>
        => T.Max(a, b);
}

internal readonly struct Smaller : IFormula2
{
    public T Forward<T>(T a, T b)
        where T : unmanaged, IReal<T>
        => T.Min(a, b);
}

internal readonly struct Power : IFormula2
{
    public T Forward<T>(T a, T b)
        where T : unmanaged, IReal<T>
        => T.Pow(a, b);
}

internal readonly struct Selected : IFormula4
{
    public T Forward<T>(T a, T b, T whenGreater, T otherwise)
        where T : unmanaged, IReal<T>
        => T.SelectGreater(a, b, whenGreater, otherwise);
}

internal readonly struct Negative : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => -x;
}

internal readonly struct Rectified : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.Relu(x);
}

internal readonly struct Absolute : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.Abs(x);
}

internal readonly struct Root : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.Sqrt(x);
}

internal readonly struct ReciprocalRoot : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.ReciprocalSqrt(x);
}

internal readonly struct Exponential : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.Exp(x);
}

internal readonly struct Logarithm : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.Log(x);
}

internal readonly struct LogarithmOfMore : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.Log1p(x);
}

internal readonly struct Tangent : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.Tanh(x);
}

internal readonly struct Logistic : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.Sigmoid(x);
}

internal readonly struct ErrorFunction : IFormula1
{
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => T.Erf(x);
}

/// <summary>Σ x over the row.</summary>
internal readonly struct RowSum : IRowFormula
{
    public static int Operands => 1;

    public static int Sums => 1;

    public static bool NeedsMaximum => false;

    public static bool IsPerRow => true;

    public T Term<T>(int sum, Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => x.A;

    public T Finish<T>(int sum, T total, T count)
        where T : unmanaged, IReal<T>
        => total;

    public T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => row.First;
}

/// <summary>The largest of the row, a constant.</summary>
internal readonly struct RowMaximum : IRowFormula
{
    public static int Operands => 1;

    public static int Sums => 1;

    public static bool NeedsMaximum => true;

    public static bool IsPerRow => true;

    public T Term<T>(int sum, Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => 0;

    public T Finish<T>(int sum, T total, T count)
        where T : unmanaged, IReal<T>
        => total;

    public T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => row.Maximum;
}
