namespace CudaTrainer.Kernels.Cpu;

/// <summary>Planes of floats of one size, row by row without gaps, in memory of the garbage collector that does not move.</summary>
/// <remarks>Behind each plane is room for the edges of a <see cref="Planes{TSimd,TVec}.Blur"/> and for one vector.</remarks>
internal sealed unsafe class PlaneSet
{
    public const int MostRadius = 5;

    private const int Line = 16;

    private readonly float[] _memory;
    private readonly nint _stride;

    public PlaneSet(int planes, int columns, int rows)
    {
        _stride = (((columns + (2 * MostRadius)) * rows) + (2 * Line) - 1) / Line * Line;
        _memory = GC.AllocateArray<float>(checked((int)(planes * _stride)), pinned: true);
        fixed (float* first = _memory)
        {
            First = first;
        }
    }

    private float* First { get; }

    public float* this[int plane] => First + (plane * _stride);
}
