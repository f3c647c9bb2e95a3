using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels;

/// <summary>
/// Gates r, z, n, whose reset gate acts behind the product: r, z = σ(·), m = the part of n from the state, n = tanh(the part from the input
/// + r·m), h ← (1−z)·n + z·h. Saved are r, z, n, m. Backward: dn = dh·(1−z)·(1−n²), dz = dh·(h_prev − n)·z(1−z), dr = dn·m·r(1−r), dm =
/// dn·r; passed on directly dh·z.
/// </summary>
internal readonly struct GruCell : ICell
{
    public static int Gates => 3;

    public static bool CarriesOutput => true;

    public static bool JoinsLate => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Activate<TMath, TVec>(int gate, TVec sum)
        where TMath : struct, IArithmetic<TVec>
        where TVec : unmanaged
        => VectorMath.Sigmoid<TMath, TVec>(sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Step<TMath, TVec>(ref GateValues<TVec> gates, ref TVec carried)
        where TMath : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        gates.C = VectorMath.Tanh<TMath, TVec>(TMath.MultiplyAdd(gates.A, gates.D, gates.C));
        carried = TMath.MultiplyAdd(gates.B, TMath.Subtract(carried, gates.C), gates.C);
        return carried;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GateValues<TVec> Gradient<TMath, TVec>(GateValues<TVec> saved, TVec before, TVec carried, TVec dOutput, ref TVec dCarried)
        where TMath : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        TVec one = TMath.Set(1), dh = TMath.Add(dOutput, dCarried);
        TVec dn = TMath.Multiply(TMath.Multiply(dh, TMath.Subtract(one, saved.B)), TMath.NegativeMultiplyAdd(saved.C, saved.C, one));
        GateValues<TVec> gradients = default;
        gradients.A = TMath.Multiply(TMath.Multiply(dn, saved.D), VectorMath.SigmoidSlope<TMath, TVec>(saved.A));
        gradients.B = TMath.Multiply(TMath.Multiply(dh, TMath.Subtract(before, saved.C)), VectorMath.SigmoidSlope<TMath, TVec>(saved.B));
        gradients.C = TMath.Multiply(dn, saved.A);
        gradients.D = dn;
        dCarried = TMath.Multiply(dh, saved.B);
        return gradients;
    }
}
