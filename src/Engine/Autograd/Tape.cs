using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;

namespace CudaTrainer.Engine.Autograd;

/// <summary>
/// One recorded step of a computation: what it needs for the backward pass, and that pass. A value type, which the tape stores in place of
/// the last recording's.
/// </summary>
public interface IFunction
{
    /// <summary>Reads the gradient of its outputs and writes (activations) or adds to (parameters) the gradients of its inputs.</summary>
    void Backward(Tape tape);
}

/// <summary>
/// Records differentiable functions as they run and plays them back in reverse. The tape owns every tensor that was made while it recorded,
/// gradients included, and gives their memory back to the device's arena when it is reset: nobody disposes tensors by hand in a training
/// loop.
/// </summary>
/// <remarks>
/// One tape serves one replica on one thread. A reset ends the life of everything it handed out: a tensor of an earlier recording throws
/// when it is used. The objects themselves are used again, so that recordings that resemble each other allocate nothing on the managed
/// heap; a tensor rests for one whole recording in between, in which holding on to it is found out.
/// </remarks>
public sealed class Tape(IDevice device) : IDisposable
{
    private readonly List<Slot> _functions = [];
    private List<Tensor> _tensors = [];
    private List<Tensor> _resting = [];
    private readonly List<(Tensor Parameter, int Function)> _uses = [];
    private int _tensorCount;
    private int _functionCount;
    private int _left;

    public IDevice Device { get; } = device;

    /// <summary>Training: batch statistics, dropout, and functions are recorded for the backward pass. Otherwise inference.</summary>
    public bool Training { get; set; }

    /// <summary>Whether dropout is on: in training, and at inference where answers are to differ from pass to pass.</summary>
    public bool DropsOut
    {
        get => field || Training;
        set;
    }

    /// <summary>The device's step state: loss scale, loss, step counts (see <see cref="Kernels.StepState"/>).</summary>
    public Tensor? State { get; set; }

    /// <summary>The type in which layers of parameters give their output; null = the parameters' own.</summary>
    public DType? ActivationType { get; set; }

    /// <summary>
    /// Where batch statistics are those of all replicas' samples: how they are put together. Null: each replica has its own.
    /// </summary>
    public IStatisticsExchange? Statistics { get; set; }

    /// <summary>Looks at the inputs of batch normalisation at inference; null: nobody does.</summary>
    internal IBatchNormObserver? BatchNormObserver { get; set; }

    /// <summary>The first sample's place in the batch that several replicas share.</summary>
    public int FirstSample { get; set; }

    /// <summary>Seed of the dropout masks.</summary>
    public ulong DropoutSeed { get; set; }

    /// <summary>Times each function, forward and backward; null where nobody asks.</summary>
    public LapClock? Laps { get; set; }

    /// <summary>Uninitialised memory that lives until the next reset.</summary>
    public Tensor Allocate(Shape shape, DType type = DType.Float32, string? name = null)
    {
        DeviceBuffer buffer = Device.Allocate(shape.Count * type.Size(), name);
        return Assign(buffer.Pointer, shape, type, buffer, name);
    }

    /// <summary>
    /// Host memory seen as a tensor until the next reset, without a copy. Only for devices that share the host's memory; the caller keeps
    /// the memory alive.
    /// </summary>
    public Tensor Over(nint hostMemory, Shape shape, DType type, string? name = null) => Device.SharesHostMemory
        ? Assign(hostMemory, shape, type, owned: null, name)
        : throw new InvalidOperationException($"{Device.Name} does not share the host's memory.");

    /// <summary>A part of a block of bytes seen as a tensor until the next reset.</summary>
    /// <param name="offset">Bytes from the block's beginning.</param>
    public Tensor Slice(Tensor block, long offset, Shape shape, DType type, string? name)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + (shape.Count * type.Size()), block.Bytes);
        return Assign((nint)(block.Data + offset), shape, type, owned: null, name);
    }

    /// <summary>Entries of the outermost dimension seen as a tensor until the next reset, as <see cref="Tensor.Slice"/>.</summary>
    public Tensor Slice(Tensor tensor, int start, int length) =>
        Assign(tensor.AddressOf(start, length), tensor.Shape.With(0, length), tensor.DType, owned: null, tensor.Name);

    /// <summary>Remembers <paramref name="function"/> for the backward pass and marks its outputs as part of the graph.</summary>
    /// <param name="outputs">One at least. Of several, those that nothing seeded depends on have no gradient in the backward pass.</param>
    public void Record<TFunction>(in TFunction function, params ReadOnlySpan<Tensor> outputs)
        where TFunction : struct, IFunction
    {
        if (_functionCount == _functions.Count)
        {
            _functions.Add(new Slot<TFunction>());
        }

        if (_functions[_functionCount] is not Slot<TFunction> slot)
        {
            _functions[_functionCount] = slot = new Slot<TFunction>();
        }

        slot.Function = function;
        slot.Outputs.Clear();
        foreach (Tensor output in outputs)
        {
            output.RequiresGradient = true;
            slot.Outputs.Add(output);
        }

        if (Laps is not null)
        {
            slot.Label = LabelOf(typeof(TFunction));
            Laps.Lap(slot.Label);
        }

        _functionCount++;
    }

    /// <summary>
    /// Which functions use which parameters, in the order of recording: backward has completed a parameter's gradient when it has played
    /// the first of them.
    /// </summary>
    public IReadOnlyList<(Tensor Parameter, int Function)> Uses => _uses;

    /// <summary>
    /// Whether a function of these inputs, parameters included, has to be recorded; to be asked right before <see cref="Record"/>.
    /// </summary>
    public bool Records(params ReadOnlySpan<Tensor?> inputs)
    {
        if (!Training)
        {
            return false;
        }

        bool records = false;
        foreach (Tensor? input in inputs)
        {
            if (input is not { RequiresGradient: true })
            {
                continue;
            }

            records = true;

            // Activations have no gradient before the backward pass; a parameter's is laid out by its model.
            if (input.Gradient is not null)
            {
                _uses.Add((input, _functionCount));
            }
        }

        return records;
    }

    /// <summary>Plays the recorded functions back. Outputs that seed the pass have their Gradient set before; one that nothing that was
    /// seeded depends on has none, and is passed over.</summary>
    /// <exception cref="InvalidOperationException">No output has a gradient.</exception>
    /// <exception cref="TensorMismatchException">A gradient is not of the size of its output.</exception>
    public void Backward()
    {
        BeginBackward();
        if (_functionCount > 0 && !IsSeeded())
        {
            throw new InvalidOperationException(
                "No output has a gradient: set the Gradient of what the pass begins with, such as a loss, before Backward.");
        }

        ContinueBackward(0);
    }

    private bool IsSeeded()
    {
        for (int i = 0; i < _functionCount; i++)
        {
            if (HasGradient(_functions[i]))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether any output has one.</summary>
    private static bool HasGradient(Slot slot)
    {
        bool has = false;
        foreach (Tensor output in slot.Outputs)
        {
            if (output.Gradient is { } gradient && gradient.Count != output.Count)
            {
                throw new TensorMismatchException("Backward", $"the gradient of {output.Name ?? "an output"}",
                    $"has shape {gradient.Shape}; the output has {output.Shape}.");
            }

            has |= output.Gradient is not null;
        }

        return has;
    }

    /// <summary>Begins to play back from the last function recorded, for <see cref="ContinueBackward"/>.</summary>
    public void BeginBackward() => _left = _functionCount;

    /// <summary>
    /// Plays back down to function number <paramref name="until"/>, that one included; the pass goes on from there at the next call.
    /// </summary>
    public void ContinueBackward(int until)
    {
        while (_left > until)
        {
            Slot slot = _functions[--_left];
            if (HasGradient(slot))
            {
                slot.Backward(this);
                Laps?.Lap(slot.Label + " backward");
            }
        }
    }

    /// <summary>
    /// Where a function writes the gradient of an activation: the first one in place, further ones beside it, to be added.
    /// </summary>
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
            Device.TensorOps.Accumulate(written, activation.Gradient!);
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
        for (int i = 0; i < _tensorCount; i++)
        {
            _tensors[i].Release();
        }

        (_tensors, _resting) = (_resting, _tensors);
        _tensorCount = 0;
        _functionCount = 0;
        _left = 0;
        _uses.Clear();
    }

    public void Dispose() => Reset();

    /// <summary>The layer whose parameters the function being recorded uses; of one without, what it is.</summary>
    private string LabelOf(Type function)
    {
        int first = _uses.FindIndex(use => use.Function == _functionCount);
        if (first >= 0 && _uses[first].Parameter.Name is { } parameter)
        {
            return parameter[..Math.Max(0, parameter.LastIndexOf('.'))];
        }

        string name = function.Name.EndsWith("Function", StringComparison.Ordinal) ? function.Name[..^"Function".Length] : function.Name;
        return string.Concat(
            name.Select((letter, i) => char.IsUpper(
            letter) ? $"{(i > 0 ? " " : string.Empty)}{char.ToLowerInvariant(letter)}" : $"{letter}"));
    }

    private Tensor Assign(nint data, Shape shape, DType type, DeviceBuffer? owned, string? name)
    {
        if (_tensorCount == _tensors.Count)
        {
            _tensors.Add(Tensor.Empty(Device));
        }

        Tensor tensor = _tensors[_tensorCount++];
        tensor.Assign(data, shape, type, owned, name);
        return tensor;
    }

    /// <summary>A place in the recording, which keeps its memory from one recording to the next.</summary>
    private abstract class Slot
    {
        /// <summary>For <see cref="Laps"/>.</summary>
        public string Label { get; set; } = string.Empty;

        public List<Tensor> Outputs { get; } = [];

        public abstract void Backward(Tape tape);
    }

    private sealed class Slot<TFunction> : Slot
        where TFunction : struct, IFunction
    {
        public TFunction Function;

        public override void Backward(Tape tape) => Function.Backward(tape);
    }
}
