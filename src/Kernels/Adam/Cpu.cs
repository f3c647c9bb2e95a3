using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// One Adam step on all parameters at once, gradient clipping included, by the formulas of docs/kernels-layers.md.
/// </summary>
internal static unsafe class Adam
{
    private const int ElementsPerLine = 16;

    /// <summary>
    /// Updates nothing when <see cref="StepState.FoundNonFinite"/> is set; otherwise <see cref="StepState.AdamSteps"/> grows by one and is
    /// t.
    /// </summary>
    /// <param name="parameters">Parameters P.</param>
    /// <param name="offsets">Where each parameter begins, and the total length n [P + 1].</param>
    /// <param name="weights">All parameters [n], updated.</param>
    /// <param name="gradients">All gradients [n], unscaled, not yet clipped; not changed.</param>
    /// <param name="firstMoments">m [n], updated.</param>
    /// <param name="secondMoments">v [n], updated.</param>
    /// <param name="halfWeights">Output: the updated parameters in half precision [n]; null when there is no such copy.</param>
    /// <param name="norms">Norm of each parameter's gradient [P]; read only with <see cref="ClipMode.PerParameter"/>.</param>
    /// <param name="decays">1 for each parameter that decays, 0 for the others [P]; read only with a weight decay.</param>
    /// <param name="state">Learning rate, global norm, finite flag and step count.</param>
    /// <param name="options">Constants and clipping.</param>
    public static void Step(
        ThreadTeam team, int parameters, long* offsets, float* weights, float* gradients, float* firstMoments, float* secondMoments,
        Half* halfWeights, float* norms, float* decays, StepState* state, in AdamOptions options)
    {
        if (state->FoundNonFinite != 0)
        {
            return;
        }

        int step = ++state->AdamSteps;
        double correction = Math.Sqrt(1 - Math.Pow(options.Beta2, step)) / (1 - Math.Pow(options.Beta1, step));
        var kernel = new Kernel
        {
            Parameters = parameters,
            Offsets = offsets,
            Weights = weights,
            Gradients = gradients,
            FirstMoments = firstMoments,
            SecondMoments = secondMoments,
            HalfWeights = halfWeights,
            Norms = norms,
            Decays = decays,
            GlobalNorm = state->GradientNorm,
            StepSize = (float)(state->LearningRate * correction),
            Decay = (float)(state->LearningRate * options.WeightDecay),
            Options = options,
        };
        team.Run(ref kernel);
    }

    private struct Kernel : ITeamKernel
    {
        public int Parameters;
        public long* Offsets;
        public float* Weights;
        public float* Gradients;
        public float* FirstMoments;
        public float* SecondMoments;
        public Half* HalfWeights;
        public float* Norms;
        public float* Decays;
        public float GlobalNorm;
        public float StepSize;
        public float Decay;
        public AdamOptions Options;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (long begin, long end) = member.Share(Offsets[Parameters], ElementsPerLine);
            bool clipsEach = Options.ClipMode == ClipMode.PerParameter, decays = Options.WeightDecay > 0;
            float clip = Options.ClipMode == ClipMode.Global ? ClipFactor(GlobalNorm) : 1;
            if (!clipsEach && !decays)
            {
                Update<TSimd, TVec>(begin, end, clip, 0);
                return;
            }

            for (int parameter = 0; parameter < Parameters; parameter++)
            {
                Update<TSimd, TVec>(
                    Math.Max(begin, Offsets[parameter]), Math.Min(end, Offsets[parameter + 1]),
                    clipsEach ? ClipFactor(Norms[parameter]) : clip, decays ? Decay * Decays[parameter] : 0);
            }
        }

        private readonly float ClipFactor(float norm) => MathF.Min(1, Options.ClipNorm / norm);

        private readonly void Update<TSimd, TVec>(long begin, long end, float clipFactor, float decay)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec clip = TSimd.Set(clipFactor);
            TVec newFirst = TSimd.Set((float)(1 - Options.Beta1));
            TVec newSecond = TSimd.Set((float)(1 - Options.Beta2));
            TVec epsilon = TSimd.Set(Options.Epsilon);
            TVec stepSize = TSimd.Set(StepSize);
            for (long i = begin; i < end; i += TSimd.Width)
            {
                int lanes = (int)Math.Min(TSimd.Width, end - i);
                TVec gradient = TSimd.Multiply(Lanes.Load<TSimd, TVec>(Gradients + i, lanes), clip);
                TVec first = Lanes.Load<TSimd, TVec>(FirstMoments + i, lanes);
                TVec second = Lanes.Load<TSimd, TVec>(SecondMoments + i, lanes);
                first = TSimd.MultiplyAdd(TSimd.Subtract(gradient, first), newFirst, first);
                second = TSimd.MultiplyAdd(TSimd.Subtract(TSimd.Multiply(gradient, gradient), second), newSecond, second);
                TVec direction = TSimd.Divide(first, TSimd.Add(TSimd.Sqrt(second), epsilon));
                TVec weight = Lanes.Load<TSimd, TVec>(Weights + i, lanes);
                if (decay != 0)
                {
                    weight = TSimd.NegativeMultiplyAdd(TSimd.Set(decay), weight, weight);
                }

                weight = TSimd.NegativeMultiplyAdd(stepSize, direction, weight);
                Lanes.Store<TSimd, TVec>(FirstMoments + i, first, lanes);
                Lanes.Store<TSimd, TVec>(SecondMoments + i, second, lanes);
                Lanes.Store<TSimd, TVec>(Weights + i, weight, lanes);
                if (HalfWeights != null)
                {
                    Lanes.StoreHalf<TSimd, TVec>(HalfWeights + i, weight, lanes);
                }
            }
        }
    }
}
