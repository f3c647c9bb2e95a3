using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Autograd;

/// <summary>One recorded step of a computation: what it needs for the backward pass, and that pass.</summary>
public abstract class Function
{
    /// <summary>Reads the gradient of its outputs and writes (activations) or adds to (parameters) the gradients of its inputs.</summary>
    protected internal abstract void Backward(Tape tape);
}

/// <summary>
/// Records differentiable functions as they run and plays them back in reverse. The tape owns every tensor that was made while it recorded,
/// gradients included, and gives their memory back to the device's arena when it is reset: nobody disposes tensors by hand in a training loop.
/// </summary>
/// <remarks>One tape serves one replica on one thread. A reset ends the life of everything it handed out.</remarks>
public sealed class Tape(IDevice device) : IDisposable
{
    private readonly List<Tensor> _tensors = [];
    private readonly List<Function> _functions = [];

    public IDevice Device { get; } = device;

    public IOps Ops => Device.Ops;

    /// <summary>Training: batch statistics, dropout, and functions are recorded for the backward pass. Otherwise inference.</summary>
    public bool Training { get; set; }

    /// <summary>The device's step state: loss scale, loss, step counts (see <see cref="Kernels.StepState"/>).</summary>
    public Tensor? State { get; set; }

    /// <summary>Seed of the dropout masks.</summary>
    public ulong DropoutSeed { get; set; }

    /// <summary>Uninitialised memory that lives until the next reset.</summary>
    public Tensor Allocate(Shape shape, DType type = DType.Float32, string? name = null)
    {
        Tensor tensor = Tensor.Allocate(Device, shape, type, name);
        _tensors.Add(tensor);
        return tensor;
    }

    /// <summary>Remembers <paramref name="function"/> for the backward pass and marks its output as part of the graph.</summary>
    public void Record(Function function, Tensor output)
    {
        output.RequiresGradient = true;
        _functions.Add(function);
    }

    /// <summary>Whether a function of these inputs has to be recorded.</summary>
    public bool Records(params ReadOnlySpan<Tensor?> inputs)
    {
        if (!Training)
        {
            return false;
        }

        foreach (Tensor? input in inputs)
        {
            if (input is { RequiresGradient: true })
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Plays the recorded functions back. Outputs that seed the pass have their Gradient set before.</summary>
    public void Backward()
    {
        for (int i = _functions.Count - 1; i >= 0; i--)
        {
            _functions[i].Backward(this);
        }
    }

    /// <summary>Where a function writes the gradient of an activation: the first one in place, further ones beside it, to be added.</summary>
    /// <returns>Null where no gradient is wanted.</returns>
    public Tensor? BeginGradient(Tensor activation)
    {
        if (!activation.RequiresGradient)
        {
            return null;
        }

        Tensor target = Allocate(activation.Shape, activation.DType);
        activation.Gradient ??= target;
        return target;
    }

    /// <summary>Completes what <see cref="BeginGradient"/> began, after the gradient was written.</summary>
    public void EndGradient(Tensor activation, Tensor? written)
    {
        if (written is not null && !ReferenceEquals(activation.Gradient, written))
        {
            Ops.Accumulate(written, activation.Gradient!);
        }
    }

    /// <summary>The gradient that a function adds to for a parameter; zeros on first use unless the model has laid one out.</summary>
    /// <returns>Null where no gradient is wanted.</returns>
    public Tensor? ParameterGradient(Tensor? parameter)
    {
        if (parameter is not { RequiresGradient: true })
        {
            return null;
        }

        if (parameter.Gradient is null)
        {
            parameter.Gradient = Allocate(parameter.Shape, parameter.DType);
            Device.Fill(parameter.Gradient.Data, 0, parameter.Gradient.Bytes);
        }

        return parameter.Gradient;
    }

    /// <summary>Forgets the recording and releases its tensors.</summary>
    public void Reset()
    {
        foreach (Tensor tensor in _tensors)
        {
            tensor.Gradient = null;
            tensor.Dispose();
        }

        _tensors.Clear();
        _functions.Clear();
    }

    public void Dispose() => Reset();
}
