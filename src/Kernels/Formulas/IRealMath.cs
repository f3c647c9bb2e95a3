namespace CudaTrainer.Kernels.Formulas;

/// <summary>What <see cref="IReal{TSelf}"/> promises, for numbers that lie in a <typeparamref name="TValue"/>.</summary>
internal interface IRealMath<TValue>
    where TValue : unmanaged
{
    static abstract TValue Set(float value);

    static abstract TValue Add(TValue a, TValue b);

    static abstract TValue Subtract(TValue a, TValue b);

    static abstract TValue Negate(TValue a);

    static abstract TValue Multiply(TValue a, TValue b);

    static abstract TValue Divide(TValue a, TValue b);

    static abstract TValue SelectGreater(TValue a, TValue b, TValue whenGreater, TValue otherwise);

    static abstract TValue Max(TValue a, TValue b);

    static abstract TValue Min(TValue a, TValue b);

    static abstract TValue Relu(TValue x);

    static abstract TValue Abs(TValue x);

    static abstract TValue Sqrt(TValue x);

    static abstract TValue ReciprocalSqrt(TValue x);

    static abstract TValue Exp(TValue x);

    static abstract TValue Log(TValue x);

    static abstract TValue Log1p(TValue x);

    static abstract TValue Tanh(TValue x);

    static abstract TValue Sigmoid(TValue x);

    static abstract TValue Erf(TValue x);

    static abstract TValue Pow(TValue x, TValue y);
}
