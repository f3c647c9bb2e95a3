using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Divides all gradients by the loss scale and looks at them once: is every one finite, what is the norm of each parameter's gradient, and
/// of all.
/// </summary>
internal static unsafe class GradientUnscale
{
    /// <param name="parameters">Parameters P.</param>
    /// <param name="offsets">Where each parameter begins in <paramref name="gradients"/>, and the total length [P + 1], not decreasing
    /// from 0.</param>
    /// <param name="gradients">All gradients, one after the other; multiplied in place by 1/<see cref="StepState.LossScale"/>.</param>
    /// <param name="norms">Output: Euclidean norm of each parameter's gradient after unscaling [P].</param>
    /// <param name="state">
    /// Output: <see cref="StepState.GradientNorm"/>, and <see cref="StepState.FoundNonFinite"/> = 1 when a gradient is infinite or NaN or
    /// the norm exceeds the range of float, else 0.
    /// </param>
    public static void Run(ThreadTeam team, int parameters, long* offsets, float* gradients, float* norms, StepState* state)
    {
        int chunks = 0;
        for (int parameter = 0; parameter < parameters; parameter++)
        {
            chunks = checked(chunks + ChunksOf(offsets, parameter));
        }

        var kernel = new Kernel
        {
            Parameters = parameters,
            Chunks = chunks,
            Offsets = offsets,
            Gradients = gradients,
            Factor = 1f / state->LossScale,
            Sums = (double*)team.Workspace(sizeof(double) * (nuint)chunks),
        };
        team.Run(ref kernel);

        double total = 0;
        double* sums = kernel.Sums;
        for (int parameter = 0; parameter < parameters; parameter++)
        {
            double sum = 0;
            for (int chunk = ChunksOf(offsets, parameter); chunk > 0; chunk--)
            {
                sum += *sums++;
            }

            norms[parameter] = (float)Math.Sqrt(sum);
            total += sum;
        }

        state->GradientNorm = (float)Math.Sqrt(total);
        state->FoundNonFinite = float.IsFinite(state->GradientNorm) ? 0 : 1;
    }

    /// <summary>Chunks begin anew with each parameter, so that its norm does not depend on its neighbours.</summary>
    private static int ChunksOf(long* offsets, int parameter) =>
        (int)((offsets[parameter + 1] - offsets[parameter] + SumOfSquares.ChunkLength - 1) / SumOfSquares.ChunkLength);

    private struct Kernel : ITeamKernel
    {
        public int Parameters;
        public int Chunks;
        public long* Offsets;
        public float* Gradients;
        public float Factor;
        public double* Sums;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Chunks);
            int firstChunk = 0;
            for (int parameter = 0; parameter < Parameters && firstChunk < end; parameter++)
            {
                int chunks = ChunksOf(Offsets, parameter);
                for (int chunk = Math.Max(begin - firstChunk, 0); chunk < Math.Min(chunks, end - firstChunk); chunk++)
                {
                    long offset = Offsets[parameter] + ((long)chunk * SumOfSquares.ChunkLength);
                    int length = (int)Math.Min(SumOfSquares.ChunkLength, Offsets[parameter + 1] - offset);
                    Scale<TSimd, TVec>(Gradients + offset, length);
                    Sums[firstChunk + chunk] = SumOfSquares.OfChunk(Gradients + offset, length);
                }

                firstChunk += chunks;
            }
        }

        private readonly void Scale<TSimd, TVec>(float* gradients, int count)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            if (Factor == 1)
            {
                return;
            }

            for (int i = 0; i < count; i += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, count - i);
                TVec scaled = TSimd.Multiply(Lanes.Load<TSimd, TVec>(gradients + i, lanes), TSimd.Set(Factor));
                Lanes.Store<TSimd, TVec>(gradients + i, scaled, lanes);
            }
        }
    }
}
