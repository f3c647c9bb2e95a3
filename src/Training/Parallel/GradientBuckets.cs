using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// The flat gradients in pieces that are added up as soon as the backward pass has completed them. Parameters lie in the order of the
/// layers and backward goes the other way, so the pieces are cut from the end; the first takes what replicas share besides gradients along.
/// </summary>
internal sealed class GradientBuckets
{
    /// <summary>Below it, a message's latency outweighs what overlapping gains.</summary>
    private const long LeastBytes = 1 << 20;

    private readonly ParameterSet _parameters;
    private readonly List<int> _begins = [];

    /// <param name="parameters">What is trained.</param>
    /// <param name="tailApart">Whether the shared tail is a piece of its own, first of all: it never travels in half precision.</param>
    /// <param name="leastBytes">No piece but the last is smaller.</param>
    public GradientBuckets(ParameterSet parameters, bool tailApart, long leastBytes = LeastBytes)
    {
        _parameters = parameters;
        TailApart = tailApart;
        long end = parameters.Gradients.Count, begin = end;
        for (int i = parameters.Parameters.Count - 1; i >= 0; i--)
        {
            begin -= parameters.Parameters[i].Shape.Count;
            if ((end - begin) * sizeof(float) >= leastBytes || i == 0)
            {
                _begins.Add((int)begin);
                end = begin;
            }
        }
    }

    public bool TailApart { get; }

    public int Count => _begins.Count;

    /// <summary>Piece <paramref name="index"/> of the block that replicas add up; 0 is complete first.</summary>
    public Tensor Piece(int index)
    {
        int end = index > 0 ? _begins[index - 1] : (int)(TailApart ? _parameters.Gradients.Count : _parameters.Shared.Count);
        return _parameters.Shared.Slice(_begins[index], end - _begins[index]);
    }

    /// <summary>
    /// The number of the function whose backward pass completes piece <paramref name="index"/>; the number of all functions if none touches
    /// it.
    /// </summary>
    /// <param name="tape">Holds a recording whose backward pass has not begun.</param>
    public int CompletedBy(int index, Tape tape)
    {
        if (index == Count - 1)
        {
            return 0;
        }

        nint begin = _parameters.Gradients.AddressOf(_begins[index], 0);
        int first = int.MaxValue;
        foreach ((Tensor parameter, int function) in tape.Uses)
        {
            first = parameter.Gradient!.Data >= begin ? Math.Min(first, function) : first;
        }

        return first;
    }
}
