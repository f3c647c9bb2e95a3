using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Clipping and Adam over all parameters at once.</summary>
/// <remarks>
/// <para>Cost: 16 bytes read and 12 (with half-precision copies 14) written, 13 FLOPs a parameter (with weight decay 15): bound by memory.
/// 2.5 M parameters: 75 MB.</para>
/// <para>Access: 16 bytes of each array a thread where all are aligned, else element by element.</para>
/// <para>Which parameter an element belongs to is looked up, once for four neighbours, only where parameters are clipped on their own or
/// some decay.</para>
/// <para>Order: every element is computed by one thread; the coefficients are worked out once, by the one thread that also counts the
/// step: no race and no atomics.</para>
/// </remarks>
internal sealed unsafe class Adam(KernelLibrary library)
{
    private const int Threads = 256;

    private readonly GpuKernel<PrepareArguments> _prepare = new(library, Prepare);
    private readonly GpuKernel<StepArguments> _step = new(library, Update);

    /// <summary>Bytes of the workspace of <see cref="Step"/>: step size, clip factor and decay, which one thread works out for
    /// all.</summary>
    public static long WorkspaceBytes => 16;

    /// <summary>
    /// One Adam step on all parameters after clipping the gradients, by the formulas of docs/kernels-layers.md.
    /// <see cref="StepState.AdamSteps"/> grows by one and is t. Nothing changes when <see cref="StepState.FoundNonFinite"/> is set.
    /// </summary>
    /// <param name="parameters">Parameters P.</param>
    /// <param name="count">Elements of all parameters n.</param>
    /// <param name="weights">[n], float, updated.</param>
    /// <param name="gradients">[n], float, unscaled, not yet clipped; not changed.</param>
    /// <param name="firstMoments">m [n], float, updated.</param>
    /// <param name="secondMoments">v [n], float, updated.</param>
    /// <param name="segments">As for <see cref="GradientUnscale"/>; read only with <see cref="ClipMode.PerParameter"/> or a weight
    /// decay.</param>
    /// <param name="norms">Norm of each parameter's gradient [P]; read only with <see cref="ClipMode.PerParameter"/>.</param>
    /// <param name="decays">1 for each parameter that decays, 0 for the others [P], float; read only with a weight decay.</param>
    /// <param name="halfWeights">Output: the updated parameters in half precision [n]; 0 when there is no such copy.</param>
    /// <param name="state">The <see cref="StepState"/>: learning rate, global norm, finite flag and step count.</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>, aligned to 16 bytes; its content does not matter.</param>
    /// <param name="options">Constants and clipping.</param>
    public void Step(
        CudaStream stream, int parameters, long count, nint weights, nint gradients, nint firstMoments, nint secondMoments,
        nint segments, nint norms, nint decays, nint halfWeights, nint state, nint workspace, in AdamOptions options)
    {
        _prepare.Launch(stream, new Grid(1), new PrepareArguments
        {
            State = new(state, 1),
            Coefficients = new(workspace, 1),
            Beta1 = options.Beta1,
            Beta2 = options.Beta2,
            WeightDecay = options.WeightDecay,
            Bound = options.ClipNorm,
            ClipsGlobally = options.ClipMode == ClipMode.Global ? 1 : 0,
        });
        if (count == 0)
        {
            return;
        }

        bool perParameter = options.ClipMode == ClipMode.PerParameter, decaying = options.WeightDecay > 0;
        _step.Launch(stream, LaunchSize.Groups(count, CudaType.Float32), new StepArguments
        {
            Weights = new(weights, count),
            Gradients = new(gradients, count),
            FirstMoments = new(firstMoments, count),
            SecondMoments = new(secondMoments, count),
            Halves = new(halfWeights, halfWeights == 0 ? 0 : count),
            Segments = perParameter || decaying ? new(segments, parameters + 1) : default,
            Norms = perParameter ? new(norms, parameters) : default,
            Decays = decaying ? new(decays, parameters) : default,
            Coefficients = new(workspace, 1),
            Count = count,
            Parameters = parameters,
            NewFirst = (float)(1 - options.Beta1),
            NewSecond = (float)(1 - options.Beta2),
            Epsilon = options.Epsilon,
            Bound = options.ClipNorm,
            Aligned = LaunchSize.Aligned(weights, gradients, firstMoments | secondMoments | (halfWeights & 7)),
        });
    }

    /// <summary>
    /// t ← t + 1; step = lr·√(1−β₂ᵗ)/(1−β₁ᵗ); clip = min(1, bound/norm of all gradients); decay = lr·λ.
    /// </summary>
    [GpuKernel(1)]
    private static void Prepare(PrepareArguments a)
    {
        StepState* state = a.State.Start;
        Coefficients* coefficients = a.Coefficients.Start;
        coefficients->Skipped = state->FoundNonFinite;
        if (state->FoundNonFinite != 0)
        {
            return;
        }

        int t = state->AdamSteps + 1;
        state->AdamSteps = t;
        coefficients->StepSize = (float)(state->LearningRate * (GpuMath.Sqrt(1 - Power(a.Beta2, t)) / (1 - Power(a.Beta1, t))));
        coefficients->Decay = (float)(state->LearningRate * a.WeightDecay);
        coefficients->Clip = a.ClipsGlobally != 0 ? ClipFactor(a.Bound, state->GradientNorm) : 1;
    }

    /// <summary>
    /// g' = g·clip; m ← m + (1−β₁)(g' − m); v ← v + (1−β₂)(g'² − v); p ← p − decay·p where it decays, then
    /// p ← p − step·m/(√v + ε); a half copy of p where there is one.
    /// </summary>
    [GpuKernel(Threads)]
    private static void Update(StepArguments a)
    {
        if (a.Coefficients.Start->Skipped != 0)
        {
            return;
        }

        float stepSize = a.Coefficients.Start->StepSize;
        Four clip = Four.Splat(a.Coefficients.Start->Clip);
        for (long first = GpuThread.FirstItem * Four.Lanes; first < a.Count; first += GpuThread.ItemStride * Four.Lanes)
        {
            long available = a.Count - first;
            if (a.Norms.Start != null)
            {
                clip = ClipFactors(a, first, available);
            }

            Four g = Four.ReadFloats(a.Gradients.Start + first, available, a.Aligned) * clip;
            Four m = Four.ReadFloats(a.FirstMoments.Start + first, available, a.Aligned);
            Four v = Four.ReadFloats(a.SecondMoments.Start + first, available, a.Aligned);
            Four p = Four.ReadFloats(a.Weights.Start + first, available, a.Aligned);
            m = Four.Fma(g - m, Four.Splat(a.NewFirst), m);
            v = Four.Fma(Four.Fma(g, g, Four.Splat(0) - v), Four.Splat(a.NewSecond), v);
            if (a.Decays.Start != null)
            {
                p = Four.Fma(Four.Splat(0) - Decays(a, first, available), p, p);
            }

            p = Four.Of(
                Moved(p.A, m.A, v.A, stepSize, a.Epsilon),
                Moved(p.B, m.B, v.B, stepSize, a.Epsilon),
                Moved(p.C, m.C, v.C, stepSize, a.Epsilon),
                Moved(p.D, m.D, v.D, stepSize, a.Epsilon));
            Four.WriteFloats(a.FirstMoments.Start + first, available, a.Aligned, m);
            Four.WriteFloats(a.SecondMoments.Start + first, available, a.Aligned, v);
            Four.WriteFloats(a.Weights.Start + first, available, a.Aligned, p);
            if (a.Halves.Start != null)
            {
                Float16.WriteFour(a.Halves.Start + first, available, a.Aligned, p);
            }
        }
    }

    private static float Moved(float p, float m, float v, float stepSize, float epsilon) =>
        GpuMath.Fma(-stepSize, m / (GpuMath.Sqrt(v) + epsilon), p);

    /// <summary>βᵗ by repeated squaring.</summary>
    private static double Power(double number, int exponent)
    {
        double result = 1;
        for (; exponent > 0; exponent >>= 1)
        {
            result *= (exponent & 1) != 0 ? number : 1;
            number *= number;
        }

        return result;
    }

    private static float ClipFactor(float bound, float norm) => norm <= bound ? 1 : bound / norm;

    /// <summary>The factors of four neighbours, each that of its parameter.</summary>
    private static Four ClipFactors(StepArguments a, long first, long available)
    {
        int parameter = Segments.Find(a.Segments.Start, a.Parameters, first);
        Four factors = Four.Splat(0);
        factors.A = FactorAt(a, first, ref parameter);
        if (available > 1)
        {
            factors.B = FactorAt(a, first + 1, ref parameter);
        }

        if (available > 2)
        {
            factors.C = FactorAt(a, first + 2, ref parameter);
        }

        if (available > 3)
        {
            factors.D = FactorAt(a, first + 3, ref parameter);
        }

        return factors;
    }

    private static float FactorAt(StepArguments a, long place, ref int parameter)
    {
        parameter = ParameterAt(a, place, parameter);
        return ClipFactor(a.Bound, a.Norms.Start[parameter]);
    }

    /// <summary>What four neighbours lose of themselves, each by its parameter.</summary>
    private static Four Decays(StepArguments a, long first, long available)
    {
        int parameter = Segments.Find(a.Segments.Start, a.Parameters, first);
        Four decays = Four.Splat(0);
        decays.A = DecayAt(a, first, ref parameter);
        if (available > 1)
        {
            decays.B = DecayAt(a, first + 1, ref parameter);
        }

        if (available > 2)
        {
            decays.C = DecayAt(a, first + 2, ref parameter);
        }

        if (available > 3)
        {
            decays.D = DecayAt(a, first + 3, ref parameter);
        }

        return decays;
    }

    private static float DecayAt(StepArguments a, long place, ref int parameter)
    {
        parameter = ParameterAt(a, place, parameter);
        return a.Coefficients.Start->Decay * a.Decays.Start[parameter];
    }

    /// <summary>The parameter of an element, looked for from that of one before it.</summary>
    private static int ParameterAt(StepArguments a, long place, int parameter)
    {
        while (a.Segments.Start[parameter + 1] <= place)
        {
            parameter++;
        }

        return parameter;
    }

    private struct Coefficients
    {
        public float StepSize;
        public float Clip;
        public float Decay;
        public int Skipped;
    }

    private struct PrepareArguments
    {
        public GpuArray<StepState> State;
        public GpuArray<Coefficients> Coefficients;
        public double Beta1;
        public double Beta2;
        public double WeightDecay;
        public float Bound;
        public int ClipsGlobally;
    }

    private struct StepArguments
    {
        public GpuArray<float> Weights;
        public GpuArray<float> Gradients;
        public GpuArray<float> FirstMoments;
        public GpuArray<float> SecondMoments;
        public GpuArray<ushort> Halves;

        /// <summary>Read only where each parameter is clipped on its own or some decay; the norms only for the former, the decays for the
        /// latter.</summary>
        public GpuArray<long> Segments;
        public GpuArray<float> Norms;
        public GpuArray<float> Decays;
        public GpuArray<Coefficients> Coefficients;
        public long Count;

        public int Parameters;
        public float NewFirst;
        public float NewSecond;
        public float Epsilon;
        public float Bound;
        public int Aligned;
    }
}
