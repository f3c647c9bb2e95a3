using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>The gate maths of a recurrent layer, one vector of hidden units of one sequence at a time.</summary>
internal unsafe interface IRecurrentStep
{
    /// <param name="sample">Sequence.</param>
    /// <param name="step">Step, counted in the direction of the layer; the walk calls them in its own order.</param>
    /// <param name="unit">First hidden unit.</param>
    /// <param name="lanes">Hidden units, 1 to the vector's width.</param>
    /// <param name="sums">
    /// The recurrent product for these units: forward one vector for each gate, h of the step before times the gate's weights; backward one
    /// vector, the gate gradients of the step behind times the weights. 0 at the first step of the walk.
    /// </param>
    void Apply<TSimd, TVec>(int sample, int step, int unit, int lanes, float* sums)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged;
}

/// <summary>
/// Walks through the time steps of all sequences, forward or backward, and alternates the recurrent product with the layer's gate maths.
/// </summary>
/// <remarks>
/// Sequences are dealt out to members and never meet, so that the only barrier is the one behind the packing of the weights. Within a step
/// a panel of weights stays in the nearest cache while all rows of the member pass by.
/// </remarks>
internal unsafe struct RecurrentWalk<TStep> : ITeamKernel
    where TStep : struct, IRecurrentStep
{
    public RecurrentShape Shape;

    /// <summary>
    /// Forward from the first step, with h as the state, or backward from the last, with the gradients of the gates as the state.
    /// </summary>
    public bool Forward;

    /// <summary>Gate blocks of <see cref="Weights"/>, 3 or 4.</summary>
    public int Gates;

    /// <summary>[Gates·H, H].</summary>
    public float* Weights;

    /// <summary>
    /// Backward: the row of <see cref="Weights"/> that the first number of a state row belongs to; the others follow and wrap around.
    /// </summary>
    public int FirstRow;

    /// <summary>Working memory for the packed weights, <see cref="RecurrentProduct.PackedLength"/>.</summary>
    public float* Packed;

    /// <summary>What the product reads, a row for each sequence and time step: H numbers forward, Gates·H backward.</summary>
    public float* State;

    public nint StateStride;

    public TStep Step;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<TSimd, TVec>(Member member)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        int unitsPerPanel = Forward ? TSimd.Width : RecurrentProduct.Vectors * TSimd.Width;
        int panels = (Shape.Hidden + unitsPerPanel - 1) / unitsPerPanel;
        int k = Forward ? Shape.Hidden : Gates * Shape.Hidden;
        nint panelLength = (nint)k * RecurrentProduct.Vectors * TSimd.Width;
        (int begin, int end) = member.Share(panels);
        for (int panel = begin; panel < end; panel++)
        {
            Pack<TSimd, TVec>(panel * unitsPerPanel, Packed + (panel * panelLength));
        }

        member.Barrier();
        float* sums = stackalloc float[RecurrentProduct.Rows * RecurrentProduct.Vectors * TSimd.Width];
        (begin, end) = member.Share(Shape.Batch, RecurrentProduct.Rows);
        for (int i = 0; i < Shape.Time && begin < end; i++)
        {
            for (int panel = 0; panel < panels; panel++)
            {
                for (int sample = begin; sample < end; sample += RecurrentProduct.Rows)
                {
                    int rows = Math.Min(RecurrentProduct.Rows, end - sample);
                    Multiply<TSimd, TVec>(i, k, sample, rows, Packed + (panel * panelLength), sums);
                    for (int row = 0; row < rows; row++)
                    {
                        float* rowSums = sums + (row * RecurrentProduct.Vectors * TSimd.Width);
                        int step = Forward ? i : Shape.Time - 1 - i;
                        int lastUnit = Math.Min((panel + 1) * unitsPerPanel, Shape.Hidden);
                        for (int unit = panel * unitsPerPanel; unit < lastUnit; unit += TSimd.Width)
                        {
                            Step.Apply<TSimd, TVec>(sample + row, step, unit, Math.Min(TSimd.Width, Shape.Hidden - unit), rowSums);
                            rowSums += TSimd.Width;
                        }
                    }
                }
            }
        }
    }

    /// <summary>The product of the state after i steps of the walk with one panel, for up to three sequences.</summary>
    private readonly void Multiply<TSimd, TVec>(int i, int k, int sample, int rows, float* panel, float* sums)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        if (i == 0)
        {
            new Span<float>(sums, RecurrentProduct.Rows * RecurrentProduct.Vectors * TSimd.Width).Clear();
            return;
        }

        nint samples = Shape.Time * StateStride;
        float* row0 = State + (sample * samples) + (Shape.TimeOf(Forward ? i - 1 : Shape.Time - i) * StateStride);
        float* row1 = rows > 1 ? row0 + samples : row0;
        float* row2 = rows > 2 ? row1 + samples : row0;
        RecurrentProduct.Tile<TSimd, TVec>(k, row0, row1, row2, panel, sums);
    }

    /// <summary>Forward, the gates of one vector of units side by side, transposed; backward, four vectors of units.</summary>
    private readonly void Pack<TSimd, TVec>(int unit, float* panel)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        int hidden = Shape.Hidden;
        for (int vector = 0; vector < RecurrentProduct.Vectors; vector++)
        {
            if (Forward)
            {
                int lanes = vector < Gates ? Math.Min(TSimd.Width, hidden - unit) : 0;
                float* source = Weights + (((nint)vector * hidden + unit) * hidden);
                RecurrentProduct.PackTransposed<TSimd, TVec>(hidden, source, hidden, lanes, panel, vector);
            }
            else
            {
                int first = unit + (vector * TSimd.Width);
                int lanes = Math.Min(TSimd.Width, hidden - first);
                int behind = (Gates * hidden) - FirstRow;
                RecurrentProduct.Pack<TSimd, TVec>(behind, Weights + ((nint)FirstRow * hidden) + first, hidden, lanes, panel, vector);
                RecurrentProduct.Pack<TSimd, TVec>(
                    FirstRow, Weights + first, hidden, lanes, panel + ((nint)behind * RecurrentProduct.Vectors * TSimd.Width), vector);
            }
        }
    }
}
