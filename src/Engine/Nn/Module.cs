using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Nn;

/// <summary>A trained tensor of a module. Its memory is laid out by a <see cref="ParameterSet"/>.</summary>
public sealed class Parameter(string name, Shape shape, Initializer initializer)
{
    private Tensor? _value;

    /// <summary>The checkpoint key, for example <c>lstm_1.weight_ih</c>.</summary>
    public string Name { get; } = name;

    /// <summary>The layer that it belongs to, for example <c>lstm_1</c>.</summary>
    public string Layer => Name[..Name.LastIndexOf('.')];

    public Shape Shape { get; } = shape;

    public Initializer Initializer { get; } = initializer;

    /// <summary>The value on the device; its Gradient is laid out beside it.</summary>
    public Tensor Value
    {
        get => _value ?? throw new InvalidOperationException($"{Name} has no memory yet: make a ParameterSet of its model first.");
        internal set => _value = value;
    }
}

/// <summary>
/// A part of a network: declares its parameters and its buffers (state that is not trained, such as running statistics) once, when it is
/// built, under the names that checkpoints use.
/// </summary>
public abstract class Module
{
    private readonly List<Parameter> _parameters = [];
    private readonly List<Parameter> _buffers = [];

    /// <summary>All parameters, in the order of the layers.</summary>
    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>All buffers, in the order of the layers.</summary>
    public IReadOnlyList<Parameter> Buffers => _buffers;

    /// <summary>
    /// The same as layers of Keras in topological order, those without weights too (docs/keras-files.md), for modules that are written to
    /// Keras's files.
    /// </summary>
    /// <exception cref="NotSupportedException">The module does not say.</exception>
    public virtual IReadOnlyList<KerasLayer> KerasLayers => throw new NotSupportedException(
        $"{GetType().Name} has no layers for Keras's files: override {nameof(KerasLayers)}, or keep its weights as safetensors.");

    protected Parameter AddParameter(string name, Shape shape, Initializer initializer)
    {
        var parameter = new Parameter(name, shape, initializer);
        _parameters.Add(parameter);
        return parameter;
    }

    protected Parameter AddBuffer(string name, Shape shape, Initializer initializer)
    {
        var buffer = new Parameter(name, shape, initializer);
        _buffers.Add(buffer);
        return buffer;
    }

    /// <summary>Makes a layer a part of this module.</summary>
    protected TLayer Add<TLayer>(TLayer layer)
        where TLayer : Module
    {
        _parameters.AddRange(layer._parameters);
        _buffers.AddRange(layer._buffers);
        return layer;
    }
}
