using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends
{
    public partial interface IOps
    {
        /// <summary>Attention pooling over time: a = softmax_t(x_t·w), y = Σ_t a_t x_t.</summary>
        /// <param name="x">[batch, time, channels].</param>
        /// <param name="weight">[1, channels].</param>
        /// <param name="y">[batch, channels].</param>
        /// <param name="attention">a [batch, time], kept for the backward pass and for people to look at.</param>
        void AttentionPoolForward(Tensor x, Tensor weight, Tensor y, Tensor attention);

        /// <summary>The gradients of <see cref="AttentionPoolForward"/>.</summary>
        void AttentionPoolBackward(Tensor dy, Tensor x, Tensor weight, Tensor attention, Tensor dx, Tensor dWeight);
    }
}

namespace CudaTrainer.Engine.Autograd.Functions
{
    /// <summary>Weighted mean over time with learnt weights.</summary>
    public readonly struct AttentionPoolFunction : IFunction
    {
        private readonly Tensor _x;
        private readonly Tensor _weight;
        private readonly Tensor _y;
        private readonly Tensor _attention;

        private AttentionPoolFunction(Tensor x, Tensor weight, Tensor y, Tensor attention)
        {
            _x = x;
            _weight = weight;
            _y = y;
            _attention = attention;
        }

        /// <inheritdoc cref="Backends.IOps.AttentionPoolForward"/>
        /// <remarks>Of a weight that is no parameter the gradient is not kept.</remarks>
        public static (Tensor Pooled, Tensor Attention) Apply(Tape tape, Tensor x, Tensor weight)
        {
            Check.Rank("AttentionPool", "x", x, 3);
            Check.Shape("AttentionPool", "weight", weight, [1, x.Shape[2]]);
            Check.Operands("AttentionPool", x, weight);
            Tensor y = tape.Allocate([x.Shape[0], x.Shape[2]], x.DType);
            Tensor attention = tape.Allocate([x.Shape[0], x.Shape[1]], weight.DType);
            tape.Ops.AttentionPoolForward(x, weight, y, attention);
            if (tape.Records(x, weight))
            {
                tape.Record(new AttentionPoolFunction(x, weight, y, attention), y);
            }

            return (y, attention);
        }

        public void Backward(Tape tape)
        {
            Tensor dx = tape.BeginGradient(_x) ?? tape.Allocate(_x.Shape, _x.DType);
            tape.Ops.AttentionPoolBackward(_y.Gradient!, _x, _weight, _attention, dx, tape.ParameterGradient(_weight) ?? tape.Allocate(_weight.Shape, _weight.DType));
            if (_x.RequiresGradient)
            {
                tape.EndGradient(_x, dx);
            }
        }
    }
}
