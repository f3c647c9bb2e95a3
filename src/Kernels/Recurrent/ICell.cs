using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels;

/// <summary>
/// What distinguishes one recurrent layer from another: the maths of a hidden unit's step, written once for vectors of a CPU and threads of
/// a GPU. Everything else, the products with W_hh, the order of steps, what lies where, is the same for all cells.
/// </summary>
/// <remarks>
/// A cell carries one number from step to step, and saves four for the backward pass. Gate sums are x·W_ihᵀ + h·W_hhᵀ with biases; the two
/// parts are called «from the input» and «from the state».
/// </remarks>
internal interface ICell
{
    /// <summary>Blocks of H rows of W_ih and W_hh: 3 or 4.</summary>
    static abstract int Gates { get; }

    /// <summary>Whether what is carried from step to step is the output h itself; otherwise it is saved beside it.</summary>
    static abstract bool CarriesOutput { get; }

    /// <summary>
    /// Whether the last gate's two parts only meet in <see cref="Step"/>, when other gates are known. Both parts then have a bias and a
    /// gradient of their own: the step gets and saves them in places C and D, and its gradient returns in C that of the part from the
    /// state, in D that of the part from the input.
    /// </summary>
    static abstract bool JoinsLate { get; }

    /// <summary>The value of a gate, computed from its sum.</summary>
    static abstract TVec Activate<TMath, TVec>(int gate, TVec sum)
        where TMath : struct, IArithmetic<TVec>
        where TVec : unmanaged;

    /// <summary>What a step computes once its gates are known.</summary>
    /// <param name="gates">The activated gates on entry, what backward needs on exit.</param>
    /// <param name="carried">What the step before carried on entry, what this step carries on exit.</param>
    /// <returns>h.</returns>
    static abstract TVec Step<TMath, TVec>(ref GateValues<TVec> gates, ref TVec carried)
        where TMath : struct, IArithmetic<TVec>
        where TVec : unmanaged;

    /// <param name="saved">The gates as <see cref="Step"/> left them.</param>
    /// <param name="before">What the step before carried here.</param>
    /// <param name="carried">What this step carried on; not used where that is h.</param>
    /// <param name="dOutput">∂L/∂h, from above and through the gates of the step behind.</param>
    /// <param name="dCarried">On entry the rest of the gradient of what this step carried on, on exit that of what it got.</param>
    /// <returns>The gradients of the gates before activation.</returns>
    static abstract GateValues<TVec> Gradient<TMath, TVec>(
        GateValues<TVec> saved, TVec before, TVec carried, TVec dOutput, ref TVec dCarried)
        where TMath : struct, IArithmetic<TVec>
        where TVec : unmanaged;
}

/// <summary>A number for each gate of a hidden unit, or a vector for each.</summary>
internal struct GateValues<TVec>
    where TVec : unmanaged
{
    public TVec A, B, C, D;
}
