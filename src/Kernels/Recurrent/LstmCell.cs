using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels;

/// <summary>
/// Gates i, f, g, o: i, f, o = σ(·), g = tanh(·); c ← f·c + i·g is carried, h = o·tanh(c). Backward: dc += dh·o·(1 − tanh²c); dz_i =
/// dc·g·i(1−i), dz_f = dc·c_prev·f(1−f), dz_g = dc·i·(1−g²), dz_o = dh·tanh(c)·o(1−o); dc ← dc·f.
/// </summary>
internal readonly struct LstmCell : ICell
{
    public static int Gates => 4;

    public static bool CarriesOutput => false;

    public static bool JoinsLate => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Activate<TMath, TVec>(int gate, TVec sum)
        where TMath : struct, IArithmetic<TVec>
        where TVec : unmanaged
        => gate == 2 ? VectorMath.Tanh<TMath, TVec>(sum) : VectorMath.Sigmoid<TMath, TVec>(sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Step<TMath, TVec>(ref GateValues<TVec> gates, ref TVec carried)
        where TMath : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        carried = TMath.MultiplyAdd(gates.B, carried, TMath.Multiply(gates.A, gates.C));
        return TMath.Multiply(gates.D, VectorMath.Tanh<TMath, TVec>(carried));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GateValues<TVec> Gradient<TMath, TVec>(GateValues<TVec> saved, TVec before, TVec carried, TVec dOutput, ref TVec dCarried)
        where TMath : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        TVec one = TMath.Set(1), squashed = VectorMath.Tanh<TMath, TVec>(carried);
        TVec dc = TMath.Multiply(TMath.Multiply(dOutput, saved.D), TMath.NegativeMultiplyAdd(squashed, squashed, one));
        dc = TMath.Add(dc, dCarried);
        GateValues<TVec> gradients = default;
        gradients.A = TMath.Multiply(TMath.Multiply(dc, saved.C), VectorMath.SigmoidSlope<TMath, TVec>(saved.A));
        gradients.B = TMath.Multiply(TMath.Multiply(dc, before), VectorMath.SigmoidSlope<TMath, TVec>(saved.B));
        gradients.C = TMath.Multiply(TMath.Multiply(dc, saved.A), TMath.NegativeMultiplyAdd(saved.C, saved.C, one));
        gradients.D = TMath.Multiply(TMath.Multiply(dOutput, squashed), VectorMath.SigmoidSlope<TMath, TVec>(saved.D));
        dCarried = TMath.Multiply(dc, saved.B);
        return gradients;
    }
}
