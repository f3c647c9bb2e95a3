namespace CudaTrainer.Kernels.Device;

/// <summary>
/// A <see cref="Dropout"/> as kernels get it: they work out the subsequence by themselves, (step ≪ 8) | layer with
/// <see cref="StepState.Step"/> from device memory, so that a captured step draws fresh masks at every replay. The default value drops nothing.
/// </summary>
/// <param name="probability">p, the fraction dropped, 0 ≤ p &lt; 1.</param>
/// <param name="seed">Philox key.</param>
/// <param name="layer">Which dropout of the model, 0 to 255.</param>
/// <param name="state">Device address of the <see cref="StepState"/>; 0 for step 0.</param>
/// <param name="first">As in <see cref="Dropout"/>.</param>
internal readonly unsafe struct GpuDropout(float probability, ulong seed, int layer, nint state, long first = 0)
{
    internal readonly GpuArray<StepState> State = new(state, state == 0 ? 0 : 1);
    internal readonly long First = first;
    internal readonly ulong Seed = seed;
    internal readonly float Probability = probability;
    internal readonly float Scale = new Dropout(probability, 0, 0).Scale;
    internal readonly int Layer = layer;
}

/// <summary>A layer's dropout in the current step, inside a kernel.</summary>
internal struct DropoutMask
{
    private float _scale;
    private uint _threshold;
    private ulong _seed;
    private ulong _subsequence;
    private long _first;
    private bool _isActive;

    public static unsafe DropoutMask Of(GpuDropout dropout)
    {
        DropoutMask mask = default;
        mask._isActive = dropout.Probability > 0;
        mask._scale = dropout.Scale;

        // An element is kept when (x >> 8)·2⁻²⁴ ≥ p. p·2²⁴ is exact, so that is x ≥ ⌈p·2²⁴⌉·2⁸ in integers.
        float bound = dropout.Probability * 16777216f;
        uint whole = (uint)bound;
        mask._threshold = (whole < bound ? whole + 1 : whole) << 8;
        mask._seed = dropout.Seed;
        uint step = 0;
        if (dropout.State.Start != null)
        {
            step = (uint)(dropout.State.Start->AdamSteps + dropout.State.Start->SkippedSteps);
        }

        mask._subsequence = ((ulong)step << 8) | (uint)dropout.Layer;
        mask._first = dropout.First;
        return mask;
    }

    /// <summary>Multiplies the lanes, which are the elements of the tensor from number <paramref name="first"/> on, by 0 or
    /// 1/(1−p).</summary>
    public static TGroup Apply<TGroup>(DropoutMask mask, long first, TGroup values)
        where TGroup : unmanaged, IGroup<TGroup>
    {
        if (!mask._isActive)
        {
            return values;
        }

        // A Philox block has the words of four neighbours; a group that begins between two blocks needs one block more.
        first += mask._first;
        ulong block = (ulong)first / 4;
        int skip = (int)(first & 3);
        uint kept = KeptBits(mask, block);
        if (TGroup.Lanes > 4)
        {
            kept |= KeptBits(mask, block + 1) << 4;
        }

        if (skip != 0)
        {
            kept |= KeptBits(mask, block + (ulong)(TGroup.Lanes / 4)) << TGroup.Lanes;
            kept >>= skip;
        }

        return TGroup.Keep(values, kept, mask._scale);
    }

    private static uint KeptBits(DropoutMask mask, ulong block)
    {
        (uint x0, uint x1, uint x2, uint x3) = Philox.Block(block, mask._subsequence, mask._seed);
        uint low = (x0 >= mask._threshold ? 1u : 0) | (x1 >= mask._threshold ? 2u : 0);
        return low | (x2 >= mask._threshold ? 4u : 0) | (x3 >= mask._threshold ? 8u : 0);
    }
}
