using CudaTrainer.Kernels.Device;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// What a recurrent kernel gets forward; all arrays but the biases and <see cref="Carried"/> are of the kernel's element type.
/// </summary>
internal unsafe struct RecurrentForward
{
    /// <summary>x·W_ihᵀ [B, T, gates·H].</summary>
    public GpuArray Input;

    /// <summary>
    /// The bias of the part from the input, and of the whole gate where <see cref="ICell.JoinsLate"/> is false [gates·H].
    /// </summary>
    public GpuArray<float> InputBias;

    /// <summary>The bias of the part from the state, where <see cref="ICell.JoinsLate"/> [gates·H].</summary>
    public GpuArray<float> StateBias;

    /// <summary>W_hh [gates·H, H].</summary>
    public GpuArray Weights;

    /// <summary>Output: what the cell saves [B, T, 4H]; may be <see cref="Input"/>.</summary>
    public GpuArray Saved;

    /// <summary>Output: h [B, T, H].</summary>
    public GpuArray Y;

    /// <summary>Output: what the cell carries, unless that is h [B, T, H].</summary>
    public GpuArray<float> Carried;

    public int Time;
    public int Hidden;

    /// <summary>Whether steps go from the last time to the first (not 0 means yes).</summary>
    public int Reverse;

    /// <summary>Whether rows of W_hh may be read in accesses of 16 bytes (not 0 means yes).</summary>
    public int Aligned;

    public readonly int TimeOf(int step) => Reverse != 0 ? Time - 1 - step : step;

    /// <summary>
    /// The part from the input of all gates of a unit, with all biases; where a part from the state is kept apart, its bias is in place D.
    /// </summary>
    public readonly GateValues<float> ReadInput<TCell, TElement, TGroup>(int row, int unit)
        where TCell : struct, ICell
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int blocks = TCell.Gates * Hidden;
        GateValues<float> values = default;
        values.A = TElement.Read(Input.Start, ((long)row * blocks) + unit) + InputBias.Start[unit];
        values.B = TElement.Read(Input.Start, ((long)row * blocks) + Hidden + unit) + InputBias.Start[Hidden + unit];
        values.C = TElement.Read(Input.Start, ((long)row * blocks) + (2 * Hidden) + unit) + InputBias.Start[(2 * Hidden) + unit];
        if (TCell.JoinsLate)
        {
            values.A += StateBias.Start[unit];
            values.B += StateBias.Start[Hidden + unit];
            values.D = StateBias.Start[(2 * Hidden) + unit];
        }
        else
        {
            values.D = TElement.Read(Input.Start, ((long)row * blocks) + (3 * Hidden) + unit) + InputBias.Start[(3 * Hidden) + unit];
        }

        return values;
    }

    public readonly void WriteState<TCell, TElement, TGroup>(long at, float carried, float output)
        where TCell : struct, ICell
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        TElement.Write(Y.Start, at, output);
        if (!TCell.CarriesOutput)
        {
            Carried.Start[at] = carried;
        }
    }
}

/// <summary>What a recurrent kernel gets backward; all arrays but <see cref="Carried"/> are of the kernel's element type.</summary>
internal unsafe struct RecurrentBackward
{
    /// <summary>∂L/∂y [B, T, H].</summary>
    public GpuArray DY;

    /// <summary>What the cell saved [B, T, 4H].</summary>
    public GpuArray Saved;

    /// <summary>h of every step, where that is what the cell carries [B, T, H].</summary>
    public GpuArray Y;

    /// <summary>What the cell carried, where it is not h [B, T, H].</summary>
    public GpuArray<float> Carried;

    /// <summary>W_hh [gates·H, H].</summary>
    public GpuArray Weights;

    /// <summary>
    /// Output: gradients of the gates' parts from the state [B, T, gates·H]; may be <see cref="Saved"/> where it has as many blocks.
    /// </summary>
    public GpuArray DState;

    /// <summary>
    /// Output: gradients of the gates' parts from the input, where <see cref="ICell.JoinsLate"/>; else they are <see cref="DState"/> [B, T,
    /// gates·H].
    /// </summary>
    public GpuArray DInput;

    /// <inheritdoc cref="RecurrentForward.Time"/>
    public int Time;
    public int Hidden;

    /// <inheritdoc cref="RecurrentForward.Reverse"/>
    public int Reverse;

    /// <inheritdoc cref="RecurrentForward.Aligned"/>
    public int Aligned;

    public readonly int TimeOf(int step) => Reverse != 0 ? Time - 1 - step : step;

    public readonly void WriteGradients<TCell, TElement, TGroup>(int row, int unit, GateValues<float> gradients)
        where TCell : struct, ICell
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        long at = ((long)row * (TCell.Gates * Hidden)) + unit;
        TElement.WriteStrided(DState.Start, at, Hidden, TCell.Gates, Four.Of(gradients.A, gradients.B, gradients.C, gradients.D));
        if (TCell.JoinsLate)
        {
            TElement.WriteStrided(DInput.Start, at, Hidden, TCell.Gates, Four.Of(gradients.A, gradients.B, gradients.D, 0));
        }
    }
}

/// <summary>What the backward pass reads of a unit's step.</summary>
internal unsafe struct RecurrentStep
{
    public GateValues<float> Saved;

    /// <summary>What the step got from the one before; 0 at the first.</summary>
    public float Before;

    public float DY;

    public static RecurrentStep Read<TCell, TElement, TGroup>(RecurrentBackward a, int firstRow, int step, int unit)
        where TCell : struct, ICell
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int row = firstRow + a.TimeOf(step);
        Four saved = TElement.ReadStrided(a.Saved.Start, ((long)row * (4 * a.Hidden)) + unit, a.Hidden);
        RecurrentStep read = default;
        read.Saved.A = saved.A;
        read.Saved.B = saved.B;
        read.Saved.C = saved.C;
        read.Saved.D = saved.D;
        read.DY = TElement.Read(a.DY.Start, ((long)row * a.Hidden) + unit);
        if (step > 0)
        {
            long before = ((long)(firstRow + a.TimeOf(step - 1)) * a.Hidden) + unit;
            read.Before = TCell.CarriesOutput ? TElement.Read(a.Y.Start, before) : a.Carried.Start[before];
        }

        return read;
    }
}
