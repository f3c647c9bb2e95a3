using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>y = dropout(relu(x)), either part optional, over any number of elements.</summary>
public sealed class ActivationDropout(KernelLibrary library)
{
    private readonly TypedKernel _forward = new(library, "activation_dropout.cu", "activation_dropout_forward");
    private readonly TypedKernel _backward = new(library, "activation_dropout.cu", "activation_dropout_backward");

    /// <param name="stream">Where to queue.</param>
    /// <param name="count">Elements.</param>
    /// <param name="x">Input [count] of <paramref name="type"/>.</param>
    /// <param name="y">Output [count] of <paramref name="type"/>; may be <paramref name="x"/>.</param>
    /// <param name="relu">Whether to clamp at 0 first; NaN stays NaN.</param>
    /// <param name="dropout">The mask; element numbers are indices into <paramref name="x"/>.</param>
    /// <param name="type">Type of x and y.</param>
    public void Forward(CudaStream stream, long count, nint x, nint y, bool relu, in CudaDropout dropout, CudaType type)
    {
        if (count == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(count);
        arguments.Add(x);
        arguments.Add(y);
        arguments.Add(relu ? 1 : 0);
        dropout.AddTo(ref arguments);
        arguments.Add(LaunchSize.Aligned(x, y));
        _forward[type].Launch(stream, LaunchSize.Strided(LaunchSize.DivideUp(count, LaunchSize.Lanes(type))), new Grid(LaunchSize.Threads), 0, arguments);
    }

    /// <param name="stream">Where to queue.</param>
    /// <param name="count">Elements.</param>
    /// <param name="dy">∂L/∂y [count] of <paramref name="type"/>.</param>
    /// <param name="x">The forward input or output [count] of <paramref name="type"/>: the ReLU passes gradient where it is &gt; 0. Not read without ReLU.</param>
    /// <param name="dx">Output: ∂L/∂x [count] of <paramref name="type"/>; may be <paramref name="dy"/>.</param>
    /// <param name="relu">As in the forward pass.</param>
    /// <param name="dropout">As in the forward pass.</param>
    /// <param name="type">Type of x, dx and dy.</param>
    public void Backward(CudaStream stream, long count, nint dy, nint x, nint dx, bool relu, in CudaDropout dropout, CudaType type)
    {
        if (count == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(count);
        arguments.Add(dy);
        arguments.Add(x);
        arguments.Add(dx);
        arguments.Add(relu ? 1 : 0);
        dropout.AddTo(ref arguments);
        arguments.Add(LaunchSize.Aligned(dy, relu ? x : 0, dx));
        _backward[type].Launch(stream, LaunchSize.Strided(LaunchSize.DivideUp(count, LaunchSize.Lanes(type))), new Grid(LaunchSize.Threads), 0, arguments);
    }
}
