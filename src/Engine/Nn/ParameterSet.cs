using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Nn;

/// <summary>
/// The memory of a model on one device: all parameters in one flat block, their gradients in another with the same layout, all buffers in a third. Clipping, the
/// optimiser, the all-reduce and checkpoints work on whole blocks.
/// </summary>
public sealed class ParameterSet : IDisposable
{
    /// <param name="device">Where.</param>
    /// <param name="module">The model.</param>
    /// <param name="type">Of parameters, gradients and buffers.</param>
    /// <param name="halfCopies">Keeps a copy of all parameters in half precision beside them.</param>
    public ParameterSet(IDevice device, Module module, DType type = DType.Float32, bool halfCopies = false)
    {
        Device = device;
        Parameters = module.Parameters;
        Buffers = module.Buffers;
        long[] bounds = new long[Parameters.Count + 1];
        for (int i = 0; i < Parameters.Count; i++)
        {
            bounds[i + 1] = bounds[i] + Parameters[i].Shape.Count;
        }

        Values = Tensor.Allocate(device, [checked((int)bounds[^1])], type, "parameters");
        Gradients = Tensor.Zeros(device, [checked((int)bounds[^1])], type, "gradients");
        Segments = Tensor.From(device, [bounds.Length], bounds, "segments");
        Values.HalfCopy = halfCopies ? Tensor.Allocate(device, Values.Shape, DType.Float16, "half parameters") : null;
        for (int i = 0; i < Parameters.Count; i++)
        {
            Parameter parameter = Parameters[i];
            parameter.Value = Values.Block(bounds[i], parameter.Shape, parameter.Name);
            parameter.Value.RequiresGradient = true;
            parameter.Value.Gradient = Gradients.Block(bounds[i], parameter.Shape, parameter.Name + " gradient");
            parameter.Value.HalfCopy = Values.HalfCopy?.Block(bounds[i], parameter.Shape, parameter.Name + " in half precision");
        }

        BufferValues = Tensor.Allocate(device, [checked((int)Buffers.Sum(buffer => buffer.Shape.Count))], type, "buffers");
        long offset = 0;
        foreach (Parameter buffer in Buffers)
        {
            buffer.Value = BufferValues.Block(offset, buffer.Shape, buffer.Name);
            offset += buffer.Shape.Count;
        }
    }

    public IDevice Device { get; }

    public IReadOnlyList<Parameter> Parameters { get; }

    public IReadOnlyList<Parameter> Buffers { get; }

    /// <summary>All parameters, flat [n].</summary>
    public Tensor Values { get; }

    /// <summary>All gradients, flat [n].</summary>
    public Tensor Gradients { get; }

    /// <summary>All buffers, flat.</summary>
    public Tensor BufferValues { get; }

    /// <summary>Where each of the P parameters begins in the flat blocks, and n: [P + 1] Int64.</summary>
    public Tensor Segments { get; }

    /// <summary>Parameters and buffers: everything a checkpoint of the model holds.</summary>
    public IEnumerable<Parameter> State => Parameters.Concat(Buffers);

    /// <summary>Sets all parameters and buffers to their initial values. Each draws from the seed and its own name, so that adding a layer changes no other.</summary>
    public void Initialize(ulong seed)
    {
        foreach (Parameter parameter in State)
        {
            ulong own = seed ^ BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(parameter.Name)));
            parameter.Value.Write((ReadOnlySpan<float>)parameter.Initializer(parameter.Shape, own));
        }
    }

    /// <summary>Sets all gradients to 0, for the ops that add to them.</summary>
    public void ClearGradients() => Device.Fill(Gradients.Data, 0, Gradients.Bytes);

    public void Dispose()
    {
        Values.HalfCopy?.Dispose();
        Values.Dispose();
        Gradients.Dispose();
        BufferValues.Dispose();
        Segments.Dispose();
    }
}
