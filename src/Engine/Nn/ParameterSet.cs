using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Nn;

/// <summary>
/// The memory of a model on one device: all parameters in one flat block, their gradients in another with the same layout, all buffers in a
/// third. Clipping, the optimiser, the all-reduce and checkpoints work on whole blocks.
/// </summary>
public sealed class ParameterSet : IDisposable
{
    /// <summary>Loss, clips called right, requests to stop, and one to keep the rest aligned.</summary>
    public const int SharedScalars = 4;

    /// <param name="device">Where.</param>
    /// <param name="module">The model.</param>
    /// <param name="type">Of parameters, gradients and buffers.</param>
    /// <param name="halfCopies">Keeps a copy of all parameters in half precision beside them.</param>
    public ParameterSet(IDevice device, Module module, DType type = DType.Float32, bool halfCopies = false)
    {
        Device = device;
        Module = module;
        Parameters = module.Parameters;
        Buffers = module.Buffers;
        long[] bounds = new long[Parameters.Count + 1];
        for (int i = 0; i < Parameters.Count; i++)
        {
            bounds[i + 1] = bounds[i] + Parameters[i].Shape.Count;
        }

        Values = Tensor.Allocate(device, [checked((int)bounds[^1])], type, "parameters");
        BufferValues = Tensor.Allocate(device, [checked((int)Buffers.Sum(buffer => buffer.Shape.Count))], type, "buffers");
        Shared = Tensor.Zeros(device, [checked((int)(bounds[^1] + SharedScalars + BufferValues.Count))], type,
            "gradients and what else replicas share");
        Gradients = Shared.Block(0, [checked((int)bounds[^1])], "gradients");
        SharedTail = Shared.Block(bounds[^1], [checked((int)(Shared.Count - bounds[^1]))], "what replicas share besides gradients");
        Segments = Tensor.From(device, [bounds.Length], bounds, "segments");
        Decays = Tensor.Allocate(device, [Parameters.Count], type, "which parameters decay");
        Decays.Write((ReadOnlySpan<float>)[.. Parameters.Select(parameter => parameter.Shape.Rank > 1 ? 1f : 0f)]);
        Values.HalfCopy = halfCopies ? Tensor.Allocate(device, Values.Shape, DType.Float16, "half parameters") : null;
        for (int i = 0; i < Parameters.Count; i++)
        {
            Parameter parameter = Parameters[i];
            parameter.Value = Values.Block(bounds[i], parameter.Shape, parameter.Name);
            parameter.Value.RequiresGradient = true;
            parameter.Value.Gradient = Gradients.Block(bounds[i], parameter.Shape, parameter.Name + " gradient");
            parameter.Value.HalfCopy = Values.HalfCopy?.Block(bounds[i], parameter.Shape, parameter.Name + " in half precision");
        }

        long offset = 0;
        foreach (Parameter buffer in Buffers)
        {
            buffer.Value = BufferValues.Block(offset, buffer.Shape, buffer.Name);
            offset += buffer.Shape.Count;
        }
    }

    public IDevice Device { get; }

    public Module Module { get; }

    public IReadOnlyList<Parameter> Parameters { get; }

    public IReadOnlyList<Parameter> Buffers { get; }

    /// <summary>All parameters, flat [n].</summary>
    public Tensor Values { get; }

    /// <summary>All gradients, then <see cref="SharedTail"/>: what the replicas of a model add up in a step.</summary>
    public Tensor Shared { get; }

    /// <summary><see cref="SharedScalars"/> numbers of the step, then a share of the buffers.</summary>
    public Tensor SharedTail { get; }

    /// <summary>All gradients, flat [n].</summary>
    public Tensor Gradients { get; }

    /// <summary>All buffers, flat.</summary>
    public Tensor BufferValues { get; }

    /// <summary>Where each of the P parameters begins in the flat blocks, and n: [P + 1] Int64.</summary>
    public Tensor Segments { get; }

    /// <summary>
    /// 1 for parameters that weight decay makes smaller, 0 for those that it leaves alone [P]: matrices decay, biases and the scales of
    /// batch normalisation, which are vectors, do not.
    /// </summary>
    public Tensor Decays { get; }

    /// <summary>Parameters and buffers: everything a checkpoint of the model holds.</summary>
    public IEnumerable<Parameter> State => Parameters.Concat(Buffers);

    /// <summary>
    /// Sets all parameters and buffers to their initial values. Each draws from the seed and its own name, so that adding a layer changes
    /// no other.
    /// </summary>
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
        Shared.Dispose();
        BufferValues.Dispose();
        Segments.Dispose();
        Decays.Dispose();
    }
}
