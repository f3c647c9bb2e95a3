using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends
{
    public partial interface IOps
    {
        /// <summary>y = dropout(relu(x)), each where asked.</summary>
        void ActivationDropoutForward(Tensor x, Tensor y, bool relu, in LayerDropout dropout);

        /// <summary>dx = dy where x passed, 0 elsewhere.</summary>
        void ActivationDropoutBackward(Tensor dy, Tensor x, Tensor dx, bool relu, in LayerDropout dropout);
    }
}

namespace CudaTrainer.Engine.Autograd.Functions
{
    /// <summary>ReLU and dropout as one elementwise op.</summary>
    public readonly struct ActivationDropoutFunction : IFunction
    {
        private readonly Tensor _x;
        private readonly Tensor _y;
        private readonly bool _relu;
        private readonly LayerDropout _dropout;

        private ActivationDropoutFunction(Tensor x, Tensor y, bool relu, LayerDropout dropout)
        {
            _x = x;
            _y = y;
            _relu = relu;
            _dropout = dropout;
        }

        /// <returns>x's shape; x itself when there is nothing to do.</returns>
        public static Tensor Apply(Tape tape, Tensor x, bool relu, LayerDropout dropout)
        {
            LayerDropout effective = tape.DropsOut ? dropout.For(x) : LayerDropout.None;
            if (!relu && !effective.Enabled)
            {
                return x;
            }

            Tensor y = tape.Allocate(x.Shape, x.DType);
            tape.Ops.ActivationDropoutForward(x, y, relu, effective);
            if (tape.Records(x))
            {
                tape.Record(new ActivationDropoutFunction(x, y, relu, effective), y);
            }

            return y;
        }

        public void Backward(Tape tape)
        {
            Tensor dx = tape.BeginGradient(_x)!;
            tape.Ops.ActivationDropoutBackward(_y.Gradient!, _x, dx, _relu, _dropout);
            tape.EndGradient(_x, dx);
        }
    }
}
