using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>
    /// One Adam step on all parameters in Keras's form, p ← p − lr·λ·p − lr·√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + ε),
    /// after clipping the gradients; nothing but the step count of skipped steps changes if StepState.FoundNonFinite is set. Kingma and Ba
    /// 2015, arXiv:1412.6980, section 2 (last paragraph); the decay by λ, <see cref="AdamOptions.WeightDecay"/>, as in Loshchilov and
    /// Hutter 2019, arXiv:1711.05101.
    /// </summary>
    /// <param name="decays">1 for each parameter that decays, 0 for those that do not [P]; without effect where λ is 0.</param>
    /// <param name="halfParameters">Where the updated parameters are also written, in half precision; or null.</param>
    void AdamStep(
        Tensor parameters, Tensor gradients, Tensor firstMoments, Tensor secondMoments, Tensor segments, Tensor norms,
        Tensor decays, Tensor? halfParameters, Tensor state, in AdamOptions options);
}

internal sealed unsafe partial class CpuOps
{
    public void AdamStep(
        Tensor parameters, Tensor gradients, Tensor firstMoments, Tensor secondMoments, Tensor segments, Tensor norms,
        Tensor decays, Tensor? halfParameters, Tensor state, in AdamOptions options) =>
        Cpu.Adam.Step(
            team, (int)norms.Count, (long*)segments.Data, Floats(parameters), Floats(gradients), Floats(firstMoments),
            Floats(secondMoments), halfParameters is null ? null : (Half*)halfParameters.Data, Floats(norms), Floats(decays),
            State(state), options);
}

internal sealed partial class CudaOps
{
    private Gpu.Adam AdamKernels => field ??= new Gpu.Adam(_kernels);

    public void AdamStep(
        Tensor parameters, Tensor gradients, Tensor firstMoments, Tensor secondMoments, Tensor segments, Tensor norms,
        Tensor decays, Tensor? halfParameters, Tensor state, in AdamOptions options)
    {
        nint factors = _workspace.Take(CudaWorkspace.Use.Sums, Gpu.Adam.WorkspaceBytes);
        AdamKernels.Step(
            _stream, (int)norms.Count, parameters.Count, parameters.Data, gradients.Data, firstMoments.Data, secondMoments.Data,
            segments.Data, norms.Data, decays.Data, halfParameters?.Data ?? 0, state.Data, factors, options);
    }
}

internal sealed partial class ReferenceOps
{
    public void AdamStep(
        Tensor parameters, Tensor gradients, Tensor firstMoments, Tensor secondMoments, Tensor segments, Tensor norms,
        Tensor decays, Tensor? halfParameters, Tensor state, in AdamOptions options)
    {
        if (State(state).FoundNonFinite != 0)
        {
            return;
        }

        double[] p = Load(parameters), g = Load(gradients), m = Load(firstMoments), v = Load(secondMoments), segmentNorms = Load(norms),
            decaying = Load(decays);
        long[] bounds = segments.Read<long>();
        int t = ++State(state).AdamSteps;
        double rate = State(state).LearningRate * Math.Sqrt(1 - Math.Pow(options.Beta2, t)) / (1 - Math.Pow(options.Beta1, t));
        for (int s = 0; s < segmentNorms.Length; s++)
        {
            double norm = options.ClipMode == ClipMode.Global ? State(state).GradientNorm : segmentNorms[s];
            double factor = options.ClipMode == ClipMode.Off || norm <= options.ClipNorm ? 1 : options.ClipNorm / norm;
            for (long i = bounds[s]; i < bounds[s + 1]; i++)
            {
                double gradient = g[i] * factor;
                m[i] = (options.Beta1 * m[i]) + ((1 - (double)options.Beta1) * gradient);
                v[i] = (options.Beta2 * v[i]) + ((1 - (double)options.Beta2) * gradient * gradient);
                p[i] -= (State(state).LearningRate * options.WeightDecay * decaying[s] * p[i])
                    + (rate * m[i] / (Math.Sqrt(v[i]) + options.Epsilon));
            }
        }

        Store(parameters, p);
        if (halfParameters is not null)
        {
            Store(halfParameters, p);
        }

        Store(firstMoments, m);
        Store(secondMoments, v);
    }
}
