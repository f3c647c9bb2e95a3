using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>½e² of the error e = prediction − target, and from |e| = δ on the tangent δ·(|e| − ½δ) (Huber, 1964).</summary>
/// <param name="Delta">δ &gt; 0.</param>
public readonly record struct Huber(float Delta) : IFormula2, IFormulaExample<Huber>
{
    public static Huber Example => new(0.7f);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T prediction, T target)
        where T : unmanaged, IReal<T>
    {
        T size = T.Abs(prediction - target);
        return T.SelectGreater(size, Delta, Delta * (size - (0.5f * Delta)), 0.5f * size * size);
    }
}
