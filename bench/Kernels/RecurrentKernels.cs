using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Bench.Kernels;

/// <summary>The recurrent layers of the classifiers, forward and backward.</summary>
/// <remarks>
/// In double precision a whole batch would take many seconds. Sequences do not influence each other, so the reference computes only some of
/// them: these outputs are compared, and in the check only they get an output gradient, so that the weights' gradients are theirs alone.
/// </remarks>
internal static class RecurrentKernels
{
    public const int Batch = 64;
    public const int Time = 20;
    private const int Hidden = ModelOps.Hidden;
    private const double Tolerance = 1e-5;

    /// <summary>One in the share of the first thread and one in that of the last.</summary>
    private static readonly int[] CheckedSequences = [1, Batch - 1];

    private static readonly Layer[] Layers =
    [
        new("lstm_1", Vgg19.Features),
        new("lstm_1, 75 % zeros", Vgg19.Features, Density: 0.25),
        new("lstm_1, half", Vgg19.Features, Type: DType.Float16),
        new("lstm_2", Hidden),
        new("gru_1", Vgg19.Features, Gru: true),
        new("gru_2", Hidden, Gru: true),
    ];

    public static IEnumerable<KernelCase> All => Layers.SelectMany(layer => (IEnumerable<KernelCase>)
    [
        new($"{layer.Name} forward", layer.ForwardWork, threads => Prepare(layer, threads, backward: false)),
        new($"{layer.Name} backward", layer.BackwardWork, threads => Prepare(layer, threads, backward: true)),
    ]);

    private static PreparedKernel Prepare(Layer layer, int threads, bool backward)
    {
        float[] x = layer.Features(), outputGradient = NativeArray.RandomManaged(Batch * Time * Hidden, 2);
        var device = new CpuDevice(threads);
        var tensors = new OpTensors(device);
        Instance kernel = new(tensors, layer, x, Batch);
        return new PreparedKernel(backward ? kernel.Backward : kernel.Forward, Check, device, tensors);

        void Check()
        {
            using var referenceDevice = new ReferenceDevice();
            using var referenceTensors = new OpTensors(referenceDevice);
            Instance reference = new(referenceTensors, layer, Checked(x), CheckedSequences.Length);
            kernel.Forward();
            reference.Forward();
            Compare("y", Checked(kernel.Output.ToDoubles()), reference.Output, Tolerance);
            if (!backward)
            {
                return;
            }

            float[] some = new float[outputGradient.Length];
            foreach (int sequence in CheckedSequences)
            {
                Array.Copy(outputGradient, sequence * Time * Hidden, some, sequence * Time * Hidden, Time * Hidden);
            }

            kernel.OutputGradient.Write((ReadOnlySpan<float>)some);
            reference.OutputGradient.Write((ReadOnlySpan<float>)Checked(outputGradient));
            kernel.Backward();
            reference.Backward();
            foreach (((string name, Tensor actual), (_, Tensor expected)) in kernel.WeightGradients.Zip(reference.WeightGradients))
            {
                Compare(name, actual.ToDoubles(), expected, layer.GradientTolerance);
            }

            if (kernel.InputGradient is { } gradient)
            {
                Compare("gradient of x", Checked(gradient.ToDoubles()), reference.InputGradient!, layer.GradientTolerance);
            }

            kernel.OutputGradient.Write((ReadOnlySpan<float>)outputGradient);
        }

        void Compare(string what, double[] actual, Tensor expected, double tolerance) =>
            WrongResultException.ThrowIfAbove(what, GradientCheck.RelativeError(actual, expected.ToDoubles()), tolerance);
    }

    /// <summary>The checked sequences of [batch, …].</summary>
    private static T[] Checked<T>(T[] batch)
    {
        int length = batch.Length / Batch;
        return [.. CheckedSequences.SelectMany(sequence => batch.Skip(sequence * length).Take(length))];
    }

    /// <param name="Inputs">Features of a step. The gradient by video features is not computed.</param>
    /// <param name="Density">Part of the inputs that is not zero.</param>
    /// <param name="Type">Of the inputs, and of what is kept for the backward pass.</param>
    private sealed record Layer(string Name, int Inputs, bool Gru = false, double Density = 1, DType Type = DType.Float32)
    {
        public int Columns => (Gru ? 3 : 4) * Hidden;

        public bool HasInputGradient => Inputs == Hidden;

        /// <summary>In half precision the saved activations are rounded to 11 bits.</summary>
        public double GradientTolerance => Type == DType.Float16 ? 2e-3 : Tolerance;

        public Work ForwardWork =>
            new(PerProduct(Inputs + Hidden), Input + Weights, Output + Reserve) { Executed = PerProduct((Density * Inputs) + Hidden) };

        /// <summary>Products: both weights' gradients, the state's gradient, and the input's.</summary>
        public Work BackwardWork
        {
            get
            {
                double others = (2 * Hidden) + (HasInputGradient ? Inputs : 0);
                return new(PerProduct(Inputs + others), Input + Weights + (2 * Output) + Reserve,
                    Weights + (HasInputGradient ? Input : 0))
                { Executed = PerProduct((Density * Inputs) + others) };
            }
        }

        private double ElementSize => Type == DType.Float16 ? 2 : 4;

        private double Input => ElementSize * Batch * Time * Inputs;

        private double Output => 4.0 * Batch * Time * Hidden;

        private double Weights => 4.0 * Columns * (Inputs + Hidden);

        private double Reserve => ElementSize * Batch * Time * (Gru ? 4 : 5) * Hidden;

        public float[] Features()
        {
            float[] values = NativeArray.RandomManaged(Batch * Time * Inputs, 1);
            if (Density < 1)
            {
                var random = new Random(3);
                foreach (ref float value in values.AsSpan())
                {
                    value = random.NextDouble() < Density ? Math.Abs(value) : 0;
                }
            }

            return values;
        }

        private double PerProduct(double length) => 2.0 * Batch * Time * Columns * length;
    }

    /// <summary>A layer with its tensors.</summary>
    private sealed class Instance
    {
        private readonly IOps _ops;
        private readonly bool _gru;
        private readonly RecurrentOptions _options;
        private readonly Tensor _x;
        private readonly Tensor _weightInput;
        private readonly Tensor _weightHidden;
        private readonly Tensor _biasInput;
        private readonly Tensor _biasHidden;
        private readonly Tensor _reserve;

        public Instance(OpTensors tensors, Layer layer, float[] x, int batch)
        {
            _ops = tensors.Ops;
            _gru = layer.Gru;
            _options = new RecurrentOptions(HalfReserve: layer.Type == DType.Float16);
            _x = tensors.From(x, [batch, Time, layer.Inputs], layer.Type);
            _weightInput = tensors.Random([layer.Columns, layer.Inputs], (float)Math.Sqrt(3.0 / layer.Inputs));
            _weightHidden = tensors.Random([layer.Columns, Hidden], (float)Math.Sqrt(3.0 / Hidden));
            _biasInput = tensors.Random([layer.Columns]);
            _biasHidden = tensors.Random([layer.Columns]);
            Output = tensors.Zeros([batch, Time, Hidden]);
            long reserveBytes = _gru ? _ops.GruReserveBytes(_x, Output, _options) : _ops.LstmReserveBytes(_x, Output, _options);
            _reserve = tensors.Zeros([checked((int)reserveBytes)], DType.UInt8);
            OutputGradient = tensors.Zeros(Output.Shape);
            InputGradient = layer.HasInputGradient ? tensors.Zeros(_x.Shape) : null;
            WeightGradients =
            [
                ("gradient of the input weights", tensors.Zeros(_weightInput.Shape)),
                ("gradient of the hidden weights", tensors.Zeros(_weightHidden.Shape)),
                ("gradient of the input bias", tensors.Zeros([layer.Columns])),
                ("gradient of the hidden bias", tensors.Zeros([layer.Columns])),
            ];
        }

        public Tensor Output { get; }

        public Tensor OutputGradient { get; }

        public Tensor? InputGradient { get; }

        /// <summary>An LSTM has one bias; the other's gradient stays zero.</summary>
        public (string Name, Tensor Value)[] WeightGradients { get; }

        public void Forward()
        {
            if (_gru)
            {
                _ops.GruForward(_x, _weightInput, _weightHidden, _biasInput, _biasHidden, Output, _reserve, _options);
            }
            else
            {
                _ops.LstmForward(_x, _weightInput, _weightHidden, _biasInput, Output, _reserve, _options);
            }
        }

        public void Backward()
        {
            Tensor[] gradients = [.. WeightGradients.Select(pair => pair.Value)];
            if (_gru)
            {
                _ops.GruBackward(
                    OutputGradient, _x, _weightInput, _weightHidden, Output, _reserve, InputGradient, gradients[0], gradients[1],
                        gradients[2], gradients[3], _options);
            }
            else
            {
                _ops.LstmBackward(OutputGradient, _x, _weightInput, _weightHidden, Output, _reserve, InputGradient, gradients[0],
                    gradients[1], gradients[2], _options);
            }
        }
    }
}
