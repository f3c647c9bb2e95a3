using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

/// <param name="Reverse">Runs from the last time step to the first; y keeps the order of x.</param>
/// <param name="HalfReserve">Keeps saved activations in half precision; the maths stays fp32.</param>
public readonly record struct RecurrentOptions(bool Reverse = false, bool HalfReserve = false);

internal sealed unsafe partial class CpuOps
{
    private static Cpu.RecurrentShape ShapeOf(Tensor x, Tensor y, in RecurrentOptions options) =>
        new(x.Shape[0], x.Shape[1], x.Shape[2], y.Shape[2], options.Reverse, options.HalfReserve);
}

internal sealed partial class CudaOps
{
    private const int Alignment = 256;

    private Gpu.Recurrent RecurrentKernels => field ??= new Gpu.Recurrent(_kernels);

    /// <summary>Bytes of [B, T, gates·H], rounded up so that what follows is aligned.</summary>
    private static long GateBytes(Tensor y, int gates) => ((y.Bytes * gates) + Alignment - 1) / Alignment * Alignment;

    /// <summary>dx = dz·W_ih, dW_ih += dzᵀ·x, dbias += column sums of dz.</summary>
    private void InputGradients(
        Tensor x, Tensor weightInput, Tensor y, nint dz, int columns, Tensor? dx, Tensor dWeightInput, Tensor dBias, CudaType type)
    {
        int rows = y.Shape.Rows, inputs = x.Shape[2];
        nint input = Operand(x, type, CudaWorkspace.Use.RecurrentInput);
        Multiply(
            true, false, columns, inputs, rows, dz, columns, input, inputs, type, dWeightInput.Data, CudaType.Float32, accumulate: true);
        ColumnSumKernels.Run(_stream, rows, columns, dz, dBias.Data, type);
        if (dx is not null)
        {
            Multiply(
                false, false, rows, inputs, columns, dz, columns, Operand(weightInput, type, CudaWorkspace.Use.OperandA), inputs, type,
                dx.Data, TypeOf(dx), accumulate: false);
        }
    }

    /// <summary>dW_hh += dzᵀ·h of the step before.</summary>
    private void HiddenGradients(Tensor y, nint dz, int columns, Tensor dWeightHidden, bool reverse, CudaType type)
    {
        int hidden = y.Shape[2];
        nint previous = _workspace.Take(CudaWorkspace.Use.States, y.Bytes);
        RecurrentKernels.PreviousStates(_stream, y.Shape[0], y.Shape[1], hidden, y.Data, previous, reverse, type);
        Multiply(
            true, false, columns, hidden, y.Shape.Rows, dz, columns, previous, hidden, type, dWeightHidden.Data, CudaType.Float32,
            accumulate: true);
    }
}

internal sealed partial class ReferenceOps
{
    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>z = offset + W·x.</summary>
    private static void Project(double[] z, double[] offset, double[] weight, ReadOnlySpan<double> x)
    {
        for (int j = 0; j < z.Length; j++)
        {
            double sum = offset[j];
            for (int l = 0; l < x.Length; l++)
            {
                sum += weight[(j * x.Length) + l] * x[l];
            }

            z[j] = sum;
        }
    }

    /// <summary>dx += Wᵀ·dz and dW += dz·xᵀ; an empty x is a zero vector.</summary>
    private static void BackProject(double[] dz, double[] weight, ReadOnlySpan<double> x, Span<double> dx, double[] dWeight)
    {
        for (int j = 0; j < dz.Length; j++)
        {
            for (int l = 0; l < dx.Length; l++)
            {
                dx[l] += weight[(j * dx.Length) + l] * dz[j];
                dWeight[(j * dx.Length) + l] += x.IsEmpty ? 0 : dz[j] * x[l];
            }
        }
    }
}
