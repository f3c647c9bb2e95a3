using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends
{
    public partial interface IOps
    {
        /// <summary>
        /// y = dropout(relu(γ·(x−μ)/√(σ²+ε) + β)) over all but the last dimension (Ioffe and Szegedy 2015, arXiv:1502.03167), ReLU and dropout as asked.
        /// In training μ, σ² are the batch's (population variance), which also move the running ones: r ← momentum·r + (1−momentum)·batch.
        /// </summary>
        /// <param name="x">[rows, channels].</param>
        /// <param name="scale">γ [channels].</param>
        /// <param name="shift">β [channels].</param>
        /// <param name="savedMean">[channels], written in training only.</param>
        /// <param name="savedInverseStd">[channels], written in training only.</param>
        void BatchNormForward(Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, Tensor y, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options);

        /// <summary>The gradients of <see cref="BatchNormForward"/> in training.</summary>
        void BatchNormBackward(Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor dScale, Tensor dShift, in BatchNormOptions options);
    }

    public readonly record struct BatchNormOptions(bool Training, bool Relu, LayerDropout Dropout, float Momentum = 0.99f, float Epsilon = 1e-3f);
}

namespace CudaTrainer.Engine.Autograd.Functions
{
    /// <summary>
    /// Batch normalisation, then ReLU and dropout where asked, as one op; in training with <see cref="Tape.Statistics"/>, over the samples of all replicas.
    /// </summary>
    public readonly struct BatchNormFunction : IFunction
    {
        private readonly Tensor _x;
        private readonly Tensor _scale;
        private readonly Tensor _shift;
        private readonly Tensor _mean;
        private readonly Tensor _inverseStd;
        private readonly Tensor _y;
        private readonly BatchNormOptions _options;

        private BatchNormFunction(Tensor x, Tensor scale, Tensor shift, Tensor mean, Tensor inverseStd, Tensor y, BatchNormOptions options)
        {
            _x = x;
            _scale = scale;
            _shift = shift;
            _mean = mean;
            _inverseStd = inverseStd;
            _y = y;
            _options = options;
        }

        /// <inheritdoc cref="IOps.BatchNormForward"/>
        public static Tensor Apply(Tape tape, Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, bool relu, LayerDropout dropout)
        {
            int channels = x.Shape[-1];
            Check.Shape("BatchNorm", "weight", scale, [channels]);
            Check.Shape("BatchNorm", "bias", shift, [channels]);
            Check.Shape("BatchNorm", "running_mean", runningMean, [channels]);
            Check.Shape("BatchNorm", "running_var", runningVariance, [channels]);
            Check.Operands("BatchNorm", x, scale, shift, runningMean, runningVariance);
            var options = new BatchNormOptions(tape.Training, relu, tape.Training ? dropout.For(x) : LayerDropout.None);
            if (tape is { Training: true, Statistics: { } statistics })
            {
                return SyncBatchNormFunction.Apply(tape, statistics, x, scale, shift, runningMean, runningVariance, options);
            }

            if (!tape.Training)
            {
                tape.BatchNormObserver?.Observe(tape, x, runningMean);
            }

            Tensor y = tape.Allocate(x.Shape, x.DType);
            Tensor mean = tape.Allocate([channels], scale.DType);
            Tensor inverseStd = tape.Allocate([channels], scale.DType);
            tape.Ops.BatchNormForward(x, scale, shift, runningMean, runningVariance, y, mean, inverseStd, options);
            if (tape.Records(x, scale, shift))
            {
                tape.Record(new BatchNormFunction(x, scale, shift, mean, inverseStd, y, options), y);
            }

            // At inference the op takes no dropout.
            return tape.Training ? y : ActivationDropoutFunction.Apply(tape, y, relu: false, dropout);
        }

        public void Backward(Tape tape)
        {
            // BatchNorm always stands behind a layer with parameters, so its input's gradient is always wanted; the op needs no null case.
            Tensor dx = tape.BeginGradient(_x) ?? tape.Allocate(_x.Shape, _x.DType);
            tape.Ops.BatchNormBackward(
                _y.Gradient!, _x, _scale, _shift, _mean, _inverseStd, dx, tape.ParameterGradient(_scale)!, tape.ParameterGradient(_shift)!, _options);
            if (_x.RequiresGradient)
            {
                tape.EndGradient(_x, dx);
            }
        }
    }
}
