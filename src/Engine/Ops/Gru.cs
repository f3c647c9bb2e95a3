using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends
{
    public partial interface IOps
    {
        /// <summary>Bytes of the reserve that <see cref="GruForward"/> of x and y fills for <see cref="GruBackward"/>.</summary>
        long GruReserveBytes(Tensor x, Tensor y, in RecurrentOptions options);

        /// <summary>
        /// A whole-sequence GRU from zero state, in the form of PyTorch and of Keras with <c>reset_after</c>: r, z = σ(x·W_ihᵀ + b_ih + h·W_hhᵀ + b_hh),
        /// n = tanh(x·W_inᵀ + b_in + r·(h·W_hnᵀ + b_hn)), h ← (1−z)·n + z·h (Cho et al. 2014, arXiv:1406.1078, version 1).
        /// </summary>
        /// <param name="x">[batch, time, input].</param>
        /// <param name="weightInput">[3·hidden, input], gate blocks in the order r, z, n.</param>
        /// <param name="weightHidden">[3·hidden, hidden].</param>
        /// <param name="biasInput">[3·hidden].</param>
        /// <param name="biasHidden">[3·hidden].</param>
        /// <param name="y">[batch, time, hidden].</param>
        /// <param name="reserve">Opaque, <see cref="GruReserveBytes"/>.</param>
        void GruForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve, in RecurrentOptions options);

        /// <summary>The gradients of <see cref="GruForward"/>; <paramref name="dx"/> is skipped when null.</summary>
        void GruBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBiasInput, Tensor dBiasHidden, in RecurrentOptions options);
    }
}

namespace CudaTrainer.Engine.Autograd.Functions
{
    /// <summary>A whole-sequence GRU layer.</summary>
    public readonly struct GruFunction : IFunction
    {
        private readonly Tensor _x;
        private readonly Tensor _weightInput;
        private readonly Tensor _weightHidden;
        private readonly Tensor _biasInput;
        private readonly Tensor _biasHidden;
        private readonly Tensor _y;
        private readonly Tensor _reserve;
        private readonly RecurrentOptions _options;

        private GruFunction(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve, RecurrentOptions options)
        {
            _x = x;
            _weightInput = weightInput;
            _weightHidden = weightHidden;
            _biasInput = biasInput;
            _biasHidden = biasHidden;
            _y = y;
            _reserve = reserve;
            _options = options;
        }

        /// <inheritdoc cref="IOps.GruForward"/>
        /// <returns>[batch, time, hidden].</returns>
        public static Tensor Apply(Tape tape, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, RecurrentOptions options = default)
        {
            Check.Rank("Gru", "x", x, 3);
            Check.Rank("Gru", "weight_hh", weightHidden, 2);
            int hidden = weightHidden.Shape[1];
            Check.Shape("Gru", "weight_ih", weightInput, [3 * hidden, x.Shape[2]]);
            Check.Shape("Gru", "weight_hh", weightHidden, [3 * hidden, hidden]);
            Check.Shape("Gru", "bias_ih", biasInput, [3 * hidden]);
            Check.Shape("Gru", "bias_hh", biasHidden, [3 * hidden]);
            Check.SamePlace("Gru", weightInput, weightHidden, biasInput, biasHidden);
            Check.Device("Gru", x, weightInput.Device);
            Tensor y = tape.Allocate([x.Shape[0], x.Shape[1], hidden], tape.ActivationType ?? weightInput.DType);
            Tensor reserve = tape.Allocate([checked((int)tape.Ops.GruReserveBytes(x, y, options))], DType.UInt8, "gru reserve");
            tape.Ops.GruForward(x, weightInput, weightHidden, biasInput, biasHidden, y, reserve, options);
            if (tape.Records(x, weightInput, weightHidden, biasInput, biasHidden))
            {
                tape.Record(new GruFunction(x, weightInput, weightHidden, biasInput, biasHidden, y, reserve, options), y);
            }

            return y;
        }

        public void Backward(Tape tape)
        {
            Tensor? dx = tape.BeginGradient(_x);
            tape.Ops.GruBackward(
                _y.Gradient!, _x, _weightInput, _weightHidden, _y, _reserve, dx,
                tape.ParameterGradient(_weightInput)!, tape.ParameterGradient(_weightHidden)!, tape.ParameterGradient(_biasInput)!, tape.ParameterGradient(_biasHidden)!, _options);
            tape.EndGradient(_x, dx);
        }
    }
}
