using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>
    /// Divides the flat gradients by StepState.LossScale, sets StepState.FoundNonFinite if any is NaN or infinite, and writes the norm of
    /// each parameter's gradient and, as StepState.GradientNorm, of all.
    /// </summary>
    /// <param name="gradients">Flat [n].</param>
    /// <param name="segments">Where each of the P parameters begins, and n: [P + 1] Int64.</param>
    /// <param name="norms">[P].</param>
    void UnscaleAndCheckFinite(Tensor gradients, Tensor segments, Tensor norms, Tensor state);
}

internal sealed unsafe partial class CpuOps
{
    public void UnscaleAndCheckFinite(Tensor gradients, Tensor segments, Tensor norms, Tensor state) =>
        Cpu.GradientUnscale.Run(team, (int)norms.Count, (long*)segments.Data, Floats(gradients), Floats(norms), State(state));
}

internal sealed partial class CudaOps
{
    private Gpu.GradientUnscale GradientKernels => field ??= new Gpu.GradientUnscale(_kernels);

    public void UnscaleAndCheckFinite(Tensor gradients, Tensor segments, Tensor norms, Tensor state)
    {
        nint sums = _workspace.Take(CudaWorkspace.Use.Sums, Gpu.GradientUnscale.WorkspaceBytes((int)norms.Count, gradients.Count));
        GradientKernels.Run(
            _stream, (int)norms.Count, gradients.Count, gradients.Data, segments.Data, norms.Data, state.Data, sums);
    }
}

internal sealed partial class ReferenceOps
{
    public void UnscaleAndCheckFinite(Tensor gradients, Tensor segments, Tensor norms, Tensor state)
    {
        double[] values = Load(gradients), segmentNorms = new double[norms.Count];
        long[] bounds = segments.Read<long>();
        double total = 0;
        bool finite = true;
        for (int s = 0; s < segmentNorms.Length; s++)
        {
            double squares = 0;
            for (long i = bounds[s]; i < bounds[s + 1]; i++)
            {
                values[i] /= State(state).LossScale;
                finite &= double.IsFinite(values[i]);
                squares += values[i] * values[i];
            }

            segmentNorms[s] = Math.Sqrt(squares);
            total += squares;
        }

        Store(gradients, values);
        Store(norms, segmentNorms);
        State(state).GradientNorm = (float)Math.Sqrt(total);
        State(state).FoundNonFinite = finite ? 0 : 1;
    }
}
