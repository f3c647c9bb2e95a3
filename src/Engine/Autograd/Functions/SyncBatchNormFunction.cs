using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Parallel;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends
{
    // BatchNormForward and BatchNormBackward in training, cut where the replicas put their sums together. A part is [2·channels + 1]: two numbers of each channel, then how
    // many rows they are of, exact below 2²⁴. Parts are of the type of the parameters.
    public partial interface IOps
    {
        /// <summary>This replica's part of the statistics of <paramref name="x"/>.</summary>
        /// <param name="x">[rows, channels], rows ≥ 1.</param>
        /// <param name="moments">Output [2·channels + 1]: mean, Σ(x − mean)², rows.</param>
        void BatchNormMoments(Tensor x, Tensor moments);

        /// <summary>
        /// Statistics over the rows of all parts, and the running ones moved as by <see cref="BatchNormForward"/>. Parts are put together in their order by the pairwise update of
        /// Chan, Golub and LeVeque (1983): the same bits on every replica whose device is of the same kind.
        /// </summary>
        /// <param name="gathered">[parts, 2·channels + 1] from <see cref="BatchNormMoments"/>.</param>
        /// <param name="savedMean">Output [channels].</param>
        /// <param name="savedInverseStd">Output [channels].</param>
        void BatchNormCombine(Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options);

        /// <summary>y = dropout(relu(γ·(x−μ)/√(σ²+ε) + β)), ReLU and dropout as asked.</summary>
        /// <param name="x">[rows, channels].</param>
        /// <param name="savedMean">[channels] from <see cref="BatchNormCombine"/>.</param>
        /// <param name="savedInverseStd">[channels] from <see cref="BatchNormCombine"/>.</param>
        /// <param name="y">Output [rows, channels], not <paramref name="x"/>.</param>
        void BatchNormNormalize(Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options);

        /// <summary>This replica's part of the gradient's sums, with g = dy behind dropout and ReLU, and its share of the gradients of γ and β.</summary>
        /// <param name="dx">[rows, channels], not <paramref name="dy"/>: the device's own until <see cref="BatchNormInputGradient"/> is given it.</param>
        /// <param name="sums">Output [2·channels + 1]: Σg, Σ g·x̂, rows.</param>
        /// <param name="dScale">[channels], Σ g·x̂ of this replica's rows is added.</param>
        /// <param name="dShift">[channels], Σg of this replica's rows is added.</param>
        void BatchNormGradientSums(
            Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale, Tensor dShift, in BatchNormOptions options);

        /// <summary>dx = γ/√(σ²+ε)·(g − Σg/R − x̂·Σ(g·x̂)/R), sums and R over the rows of all parts.</summary>
        /// <param name="gathered">[parts, 2·channels + 1] from <see cref="BatchNormGradientSums"/>.</param>
        /// <param name="dx">What <see cref="BatchNormGradientSums"/> was given. Output [rows, channels].</param>
        void BatchNormInputGradient(
            Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx, in BatchNormOptions options);
    }
}

namespace CudaTrainer.Engine.Autograd.Functions
{
    /// <summary>
    /// <see cref="BatchNormFunction"/> in training with the statistics of all replicas' samples: one exchange in the forward pass and one in the backward pass. Gradients of
    /// γ and β are of this replica's samples only, like those of every other parameter.
    /// </summary>
    internal readonly struct SyncBatchNormFunction : IFunction
    {
        private readonly IStatisticsExchange _statistics;
        private readonly Tensor _x;
        private readonly Tensor _scale;
        private readonly Tensor _shift;
        private readonly Tensor _mean;
        private readonly Tensor _inverseStd;
        private readonly Tensor _y;
        private readonly BatchNormOptions _options;

        private SyncBatchNormFunction(IStatisticsExchange statistics, Tensor x, Tensor scale, Tensor shift, Tensor mean, Tensor inverseStd, Tensor y, BatchNormOptions options)
        {
            _statistics = statistics;
            _x = x;
            _scale = scale;
            _shift = shift;
            _mean = mean;
            _inverseStd = inverseStd;
            _y = y;
            _options = options;
        }

        /// <summary>Arguments that <see cref="BatchNormFunction.Apply"/> has checked.</summary>
        public static Tensor Apply(
            Tape tape, IStatisticsExchange statistics, Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, in BatchNormOptions options)
        {
            int channels = x.Shape[-1];
            Tensor moments = AllocatePart(tape, scale);
            tape.Ops.BatchNormMoments(x, moments);
            Tensor mean = tape.Allocate([channels], scale.DType);
            Tensor inverseStd = tape.Allocate([channels], scale.DType);
            tape.Ops.BatchNormCombine(Gather(tape, statistics, moments), runningMean, runningVariance, mean, inverseStd, options);
            Tensor y = tape.Allocate(x.Shape, x.DType);
            tape.Ops.BatchNormNormalize(x, scale, shift, mean, inverseStd, y, options);
            if (tape.Records(x, scale, shift))
            {
                tape.Record(new SyncBatchNormFunction(statistics, x, scale, shift, mean, inverseStd, y, options), y);
            }

            return y;
        }

        public void Backward(Tape tape)
        {
            Tensor dx = tape.BeginGradient(_x) ?? tape.Allocate(_x.Shape, _x.DType);
            Tensor sums = AllocatePart(tape, _scale);
            tape.Ops.BatchNormGradientSums(
                _y.Gradient!, _x, _scale, _shift, _mean, _inverseStd, dx, sums, tape.ParameterGradient(_scale)!, tape.ParameterGradient(_shift)!, _options);
            Tensor gathered = Gather(tape, _statistics, sums);
            tape.Ops.BatchNormInputGradient(_y.Gradient!, _x, _scale, _shift, _mean, _inverseStd, gathered, dx, _options);
            if (_x.RequiresGradient)
            {
                tape.EndGradient(_x, dx);
            }
        }

        private static Tensor AllocatePart(Tape tape, Tensor scale) => tape.Allocate([(2 * scale.Shape[0]) + 1], scale.DType);

        private static Tensor Gather(Tape tape, IStatisticsExchange statistics, Tensor part)
        {
            Tensor gathered = tape.Allocate([statistics.Parts, part.Shape[0]], part.DType);
            statistics.AllGather(part, gathered);
            return gathered;
        }
    }
}
