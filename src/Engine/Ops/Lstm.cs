using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends
{
    public partial interface IOps
    {
        /// <summary>Bytes of the reserve that <see cref="LstmForward"/> of x and y fills for <see cref="LstmBackward"/>.</summary>
        long LstmReserveBytes(Tensor x, Tensor y, in RecurrentOptions options);

        /// <summary>
        /// A whole-sequence LSTM from zero state: i,f,o = σ(·), g = tanh(·) of x·W_ihᵀ + h·W_hhᵀ + b, c ← f·c + i·g, h = o·tanh(c)
        /// (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
        /// </summary>
        /// <param name="x">[batch, time, input], Float32 or Float16.</param>
        /// <param name="weightInput">[4·hidden, input], gate blocks in the order i, f, g, o.</param>
        /// <param name="weightHidden">[4·hidden, hidden].</param>
        /// <param name="bias">[4·hidden].</param>
        /// <param name="y">[batch, time, hidden], Float32, or Float16 on devices that compute in it.</param>
        /// <param name="reserve">Opaque, <see cref="LstmReserveBytes"/>.</param>
        void LstmForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, in RecurrentOptions options);

        /// <summary>The gradients of <see cref="LstmForward"/>. <paramref name="dx"/> is skipped when null: video features need no gradient.</summary>
        void LstmBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBias, in RecurrentOptions options);
    }

    /// <param name="Reverse">Runs from the last time step to the first; y keeps the order of x.</param>
    /// <param name="HalfReserve">Keeps saved activations in half precision; the maths stays fp32.</param>
    public readonly record struct RecurrentOptions(bool Reverse = false, bool HalfReserve = false);
}

namespace CudaTrainer.Engine.Autograd.Functions
{
    /// <summary>A whole-sequence LSTM layer.</summary>
    public readonly struct LstmFunction : IFunction
    {
        private readonly Tensor _x;
        private readonly Tensor _weightInput;
        private readonly Tensor _weightHidden;
        private readonly Tensor _bias;
        private readonly Tensor _y;
        private readonly Tensor _reserve;
        private readonly RecurrentOptions _options;

        private LstmFunction(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, RecurrentOptions options)
        {
            _x = x;
            _weightInput = weightInput;
            _weightHidden = weightHidden;
            _bias = bias;
            _y = y;
            _reserve = reserve;
            _options = options;
        }

        /// <inheritdoc cref="IOps.LstmForward"/>
        /// <returns>[batch, time, hidden].</returns>
        public static Tensor Apply(Tape tape, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, RecurrentOptions options = default)
        {
            Check.Rank("Lstm", "x", x, 3);
            Check.Rank("Lstm", "weight_hh", weightHidden, 2);
            int hidden = weightHidden.Shape[1];
            Check.Shape("Lstm", "weight_ih", weightInput, [4 * hidden, x.Shape[2]]);
            Check.Shape("Lstm", "weight_hh", weightHidden, [4 * hidden, hidden]);
            Check.Shape("Lstm", "bias", bias, [4 * hidden]);
            Check.SamePlace("Lstm", weightInput, weightHidden, bias);
            Check.Device("Lstm", x, weightInput.Device);
            Tensor y = tape.Allocate([x.Shape[0], x.Shape[1], hidden], tape.ActivationType ?? weightInput.DType);
            Tensor reserve = tape.Allocate([checked((int)tape.Ops.LstmReserveBytes(x, y, options))], DType.UInt8, "lstm reserve");
            tape.Ops.LstmForward(x, weightInput, weightHidden, bias, y, reserve, options);
            if (tape.Records(x, weightInput, weightHidden, bias))
            {
                tape.Record(new LstmFunction(x, weightInput, weightHidden, bias, y, reserve, options), y);
            }

            return y;
        }

        public void Backward(Tape tape)
        {
            Tensor? dx = tape.BeginGradient(_x);
            tape.Ops.LstmBackward(
                _y.Gradient!, _x, _weightInput, _weightHidden, _y, _reserve, dx,
                tape.ParameterGradient(_weightInput)!, tape.ParameterGradient(_weightHidden)!, tape.ParameterGradient(_bias)!, _options);
            tape.EndGradient(_x, dx);
        }
    }
}
