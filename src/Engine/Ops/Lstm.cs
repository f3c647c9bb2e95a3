using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>Bytes of the reserve that <see cref="LstmForward"/> of x and y fills for <see cref="LstmBackward"/>.</summary>
    long LstmReserveBytes(Tensor x, Tensor y, in RecurrentOptions options);

    /// <summary>
    /// A whole-sequence LSTM from zero state: i,f,o = σ(·), g = tanh(·) of x·W_ihᵀ + h·W_hhᵀ + b, c ← f·c + i·g, h = o·tanh(c) (Hochreiter
    /// and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
    /// </summary>
    /// <param name="x">[batch, time, input], Float32 or Float16.</param>
    /// <param name="weightInput">[4·hidden, input], gate blocks in the order i, f, g, o.</param>
    /// <param name="weightHidden">[4·hidden, hidden].</param>
    /// <param name="bias">[4·hidden].</param>
    /// <param name="y">[batch, time, hidden], Float32, or Float16 on devices that compute in it.</param>
    /// <param name="reserve">Opaque, <see cref="LstmReserveBytes"/>.</param>
    void LstmForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, in RecurrentOptions options);

    /// <summary>
    /// The gradients of <see cref="LstmForward"/>. <paramref name="dx"/> is skipped when null: video features need no gradient.
    /// </summary>
    void LstmBackward(
        Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput,
        Tensor dWeightHidden, Tensor dBias, in RecurrentOptions options);
}

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
    public static Tensor Apply(
        Tape tape, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, RecurrentOptions options = default)
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

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new("Lstm", Inputs(draw, 3, 4, 6, 5), (tape, t) => Apply(tape, t[0], t[1], t[2], t[3])),
        new(
            "Lstm reverse", Inputs(draw, 2, 5, 9, 16),
            (tape, t) => Apply(tape, t[0], t[1], t[2], t[3], new RecurrentOptions(Reverse: true))),
        new("Lstm one step", Inputs(draw, 1, 1, 17, 33), (tape, t) => Apply(tape, t[0], t[1], t[2], t[3])),
        new("Lstm half features", Inputs(draw, 3, 4, 24, 16, DType.Float16), (tape, t) => Apply(tape, t[0], t[1], t[2], t[3])),
    ];

    private static OpInput[] Inputs(InputDrawer draw, int batch, int time, int inputs, int hidden, DType? type = null) =>
    [
        draw.Normal("x", [batch, time, inputs], 1, type, differentiable: type is null),
        draw.Parameter("weight_ih", [4 * hidden, inputs], 0.4),
        draw.Parameter("weight_hh", [4 * hidden, hidden], 0.4),
        draw.Parameter("bias", [4 * hidden], 0.4),
    ];
}

internal sealed unsafe partial class CpuOps
{
    public long LstmReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => Cpu.Lstm.ReserveBytes(ShapeOf(x, y, options));

    public void LstmForward(
        Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, in RecurrentOptions options)
    {
        if (x.DType == DType.Float16)
        {
            Cpu.Lstm.Forward(
                team, ShapeOf(x, y, options), (Half*)x.Data, Floats(weightInput), Floats(weightHidden), Floats(bias), Floats(y),
                (void*)reserve.Data);
        }
        else
        {
            Cpu.Lstm.Forward(
                team, ShapeOf(x, y, options), Floats(x), Floats(weightInput), Floats(weightHidden), Floats(bias), Floats(y),
                (void*)reserve.Data);
        }
    }

    public void LstmBackward(
        Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput,
        Tensor dWeightHidden, Tensor dBias, in RecurrentOptions options)
    {
        float* inputGradient = dx is null ? null : Floats(dx);
        if (x.DType == DType.Float16)
        {
            Cpu.Lstm.Backward(
                team, ShapeOf(x, y, options), (Half*)x.Data, Floats(weightInput), Floats(weightHidden), Floats(y), (void*)reserve.Data,
                Floats(dy), inputGradient, Floats(dWeightInput), Floats(dWeightHidden), Floats(dBias));
        }
        else
        {
            Cpu.Lstm.Backward(
                team, ShapeOf(x, y, options), Floats(x), Floats(weightInput), Floats(weightHidden), Floats(y), (void*)reserve.Data,
                Floats(dy), inputGradient, Floats(dWeightInput), Floats(dWeightHidden), Floats(dBias));
        }
    }
}

internal sealed partial class CudaOps
{
    private const int LstmGates = 4;

    /// <summary>cuDNN's layers by size; made when a size is first seen, which is before a step is captured.</summary>
    private readonly Dictionary<(int Batch, int Time, int Inputs, int Hidden, CudaType Type), CudnnLstm> _cudnnLstms = [];

    private Gpu.Lstm LstmKernels => field ??= new Gpu.Lstm(_kernels);

    // Reserve of our own: gates [B, T, 4H] of the activations' type, then cells [B, T, H] in single precision. Backward turns the gates
    // into their gradients in place.
    public long LstmReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => UsesCudnn(y, options)
        ? CudnnLstmOf(x, y).ReserveBytes
        : GateBytes(y, LstmGates) + (y.Count * sizeof(float));

    public void LstmForward(
        Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, in RecurrentOptions options)
    {
        if (UsesCudnn(y, options))
        {
            CudnnForward(x, weightInput, weightHidden, bias, y, reserve);
            return;
        }

        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        CudaType type = TypeOf(y);
        nint gates = reserve.Data, cells = (nint)(gates + GateBytes(y, LstmGates));
        nint input = Operand(x, type, CudaWorkspace.Use.RecurrentInput);
        Multiply(
            false, true, batch * time, LstmGates * hidden, inputs, input, inputs, Operand(weightInput, type, CudaWorkspace.Use.OperandA),
            inputs, type, gates, type, accumulate: false);
        LstmKernels.Forward(
            _stream, batch, time, hidden, gates, bias.Data, Operand(weightHidden, type, CudaWorkspace.Use.OperandB), y.Data, cells,
            options.Reverse, type);
    }

    public void LstmBackward(
        Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput,
        Tensor dWeightHidden, Tensor dBias, in RecurrentOptions options)
    {
        if (UsesCudnn(y, options))
        {
            CudnnBackward(dy, x, weightInput, weightHidden, y, reserve, dx, dWeightInput, dWeightHidden, dBias);
            return;
        }

        int batch = x.Shape[0], time = x.Shape[1], hidden = y.Shape[2];
        CudaType type = TypeOf(y);
        nint gates = reserve.Data, cells = (nint)(gates + GateBytes(y, LstmGates));
        LstmKernels.Backward(
            _stream, batch, time, hidden, dy.Data, gates, cells, Operand(weightHidden, type, CudaWorkspace.Use.OperandB), gates,
            options.Reverse, type);
        InputGradients(x, weightInput, y, gates, LstmGates * hidden, dx, dWeightInput, dBias, type);
        HiddenGradients(y, gates, LstmGates * hidden, dWeightHidden, options.Reverse, type);
    }

    /// <summary>cuDNN has no reverse direction on its own; such layers run by our kernels.</summary>
    private bool UsesCudnn(Tensor y, in RecurrentOptions options) => !options.Reverse && _options.Lstm switch
    {
        LstmPath.Cudnn => true,
        LstmPath.Fused => false,
        _ => y.Shape[2] > Gpu.Recurrent.MaxRegisterHidden && Kernels.Interop.Cuda.HasCudnn,
    };

    // The LSTM by cuDNN, which keeps weights in a layout of its own: each pass copies them there, and the gradients back, so that
    // everything outside knows one order of gates and one layout.
    private void CudnnForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve)
    {
        CudnnLstm layer = CudnnLstmOf(x, y);
        nint weights = PackWeights(layer, weightInput, weightHidden, bias, TypeOf(y));
        layer.Forward(
            Operand(x, TypeOf(y), CudaWorkspace.Use.RecurrentInput), y.Data, weights,
            _workspace.Take(CudaWorkspace.Use.RecurrentScratch, layer.WorkspaceBytes), reserve.Data);
    }

    private void CudnnBackward(
        Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput,
        Tensor dWeightHidden, Tensor dBias)
    {
        CudnnLstm layer = CudnnLstmOf(x, y);
        CudaType type = TypeOf(y);

        // The bias does not take part in the backward pass; its place in the weight space only has to be there.
        nint weights = PackWeights(layer, weightInput, weightHidden, bias: null, type);
        nint scratch = _workspace.Take(CudaWorkspace.Use.RecurrentScratch, layer.WorkspaceBytes);
        nint input = Operand(x, type, CudaWorkspace.Use.RecurrentInput);

        // cuDNN cannot leave out the gradient of the input.
        nint inputGradient = dx?.Data ?? _workspace.Take(CudaWorkspace.Use.States, x.Count * SizeOf(type));
        layer.BackwardData(y.Data, dy.Data, inputGradient, weights, scratch, reserve.Data);

        nint gradients = _workspace.Take(CudaWorkspace.Use.RecurrentGradients, layer.WeightSpaceBytes);
        _stream.Fill(gradients, 0, layer.WeightSpaceBytes);
        layer.BackwardWeights(input, y.Data, gradients, scratch, reserve.Data);
        nint single = InSingle(gradients, layer.WeightSpaceBytes, type);
        long scale = sizeof(float) / SizeOf(type);
        for (int gate = 0; gate < LstmGates; gate++)
        {
            AddPart(dWeightInput, LstmWeights.Input, gate);
            AddPart(dWeightHidden, LstmWeights.Hidden, gate);
            AddPart(dBias, LstmWeights.Bias, gate);
        }

        void AddPart(Tensor gradient, LstmWeights what, int gate)
        {
            long count = gradient.Count / LstmGates;
            _elementwise.Accumulate(
                _stream, count, (nint)(single + (scale * layer.OffsetOf(gate, what))),
                (nint)(gradient.Data + (gate * count * sizeof(float))), CudaType.Float32);
        }
    }

    private static long SizeOf(CudaType type) => type == CudaType.Float32 ? sizeof(float) : sizeof(short);

    private nint PackWeights(CudnnLstm layer, Tensor weightInput, Tensor weightHidden, Tensor? bias, CudaType type)
    {
        nint space = _workspace.Take(CudaWorkspace.Use.RecurrentWeights, layer.WeightSpaceBytes);
        Pack(weightInput, LstmWeights.Input, CudaWorkspace.Use.OperandA);
        Pack(weightHidden, LstmWeights.Hidden, CudaWorkspace.Use.OperandB);
        if (bias is not null)
        {
            Pack(bias, LstmWeights.Bias, CudaWorkspace.Use.OperandB);
        }

        return space;

        void Pack(Tensor weights, LstmWeights what, CudaWorkspace.Use scratch)
        {
            nint source = Operand(weights, type, scratch);
            long bytes = weights.Count / LstmGates * SizeOf(type);
            for (int gate = 0; gate < LstmGates; gate++)
            {
                _stream.CopyOnDevice((nint)(source + (gate * bytes)), (nint)(space + layer.OffsetOf(gate, what)), bytes);
            }
        }
    }

    /// <summary>The whole weight space in single precision, so that its parts can be added to gradients in single precision.</summary>
    private nint InSingle(nint space, long bytes, CudaType type)
    {
        if (type == CudaType.Float32)
        {
            return space;
        }

        long count = bytes / SizeOf(type);
        nint single = _workspace.Take(CudaWorkspace.Use.OperandA, count * sizeof(float));
        _elementwise.Cast(_stream, count, space, type, single, CudaType.Float32);
        return single;
    }

    private CudnnLstm CudnnLstmOf(Tensor x, Tensor y)
    {
        (int, int, int, int, CudaType) key = (x.Shape[0], x.Shape[1], x.Shape[2], y.Shape[2], TypeOf(y));
        if (!_cudnnLstms.TryGetValue(key, out CudnnLstm? layer))
        {
            _cudnnLstms[key] = layer = new CudnnLstm(Cudnn("The LSTM of cuDNN"), key.Item1, key.Item2, key.Item3, key.Item4, key.Item5);
        }

        return layer;
    }

    private void DisposeLstms()
    {
        foreach (CudnnLstm layer in _cudnnLstms.Values)
        {
            layer.Dispose();
        }
    }
}

internal sealed unsafe partial class ReferenceOps
{
    // The reserve holds, as doubles, the four activated gates [batch, time, 4·hidden] and the cells [batch, time, hidden].
    public long LstmReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => 8L * 5 * y.Count;

    public void LstmForward(
        Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        double[] input = Load(x), wi = Load(weightInput), wh = Load(weightHidden), b = Load(bias), output = new double[y.Count];
        double* gates = (double*)reserve.Data;
        double* cells = gates + ((long)batch * time * 4 * hidden);
        double[] z = new double[4 * hidden];
        for (int n = 0; n < batch; n++)
        {
            double[] h = new double[hidden], c = new double[hidden];
            for (int step = 0; step < time; step++)
            {
                int row = (n * time) + (options.Reverse ? time - 1 - step : step);
                Project(z, b, wi, input.AsSpan(row * inputs, inputs));
                Project(z, z, wh, h);
                for (int j = 0; j < hidden; j++)
                {
                    double i = Sigmoid(z[j]), f = Sigmoid(z[hidden + j]), g = Math.Tanh(z[(2 * hidden) + j]),
                        o = Sigmoid(z[(3 * hidden) + j]);
                    c[j] = (f * c[j]) + (i * g);
                    h[j] = o * Math.Tanh(c[j]);
                    long at = ((long)row * 4 * hidden) + j;
                    (gates[at], gates[at + hidden], gates[at + (2 * hidden)], gates[at + (3 * hidden)]) = (i, f, g, o);
                    cells[((long)row * hidden) + j] = c[j];
                    output[(row * hidden) + j] = h[j];
                }
            }
        }

        Store(y, output);
    }

    public void LstmBackward(
        Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput,
        Tensor dWeightHidden, Tensor dBias, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        double[] input = Load(x), wi = Load(weightInput), wh = Load(weightHidden), output = Load(y), upstream = Load(dy);
        double[] dInput = new double[input.Length], dwi = new double[wi.Length], dwh = new double[wh.Length], db = new double[4 * hidden];
        double* gates = (double*)reserve.Data;
        double* cells = gates + ((long)batch * time * 4 * hidden);
        double[] dz = new double[4 * hidden];
        for (int n = 0; n < batch; n++)
        {
            double[] dh = new double[hidden], dc = new double[hidden];
            for (int step = time - 1; step >= 0; step--)
            {
                int row = (n * time) + (options.Reverse ? time - 1 - step : step);
                int before = step == 0 ? -1 : (n * time) + (options.Reverse ? time - step : step - 1);
                for (int j = 0; j < hidden; j++)
                {
                    long at = ((long)row * 4 * hidden) + j;
                    double i = gates[at], f = gates[at + hidden], g = gates[at + (2 * hidden)], o = gates[at + (3 * hidden)];
                    double tanhCell = Math.Tanh(cells[((long)row * hidden) + j]);
                    double cellBefore = before < 0 ? 0 : cells[((long)before * hidden) + j];
                    double dhj = dh[j] + upstream[(row * hidden) + j];
                    double dcj = dc[j] + (dhj * o * (1 - (tanhCell * tanhCell)));
                    dz[j] = dcj * g * i * (1 - i);
                    dz[hidden + j] = dcj * cellBefore * f * (1 - f);
                    dz[(2 * hidden) + j] = dcj * i * (1 - (g * g));
                    dz[(3 * hidden) + j] = dhj * tanhCell * o * (1 - o);
                    dc[j] = dcj * f;
                }

                BackProject(dz, wi, input.AsSpan(row * inputs, inputs), dInput.AsSpan(row * inputs, inputs), dwi);
                Array.Clear(dh);
                BackProject(dz, wh, before < 0 ? default : output.AsSpan(before * hidden, hidden), dh, dwh);
                for (int j = 0; j < dz.Length; j++)
                {
                    db[j] += dz[j];
                }
            }
        }

        if (dx is not null)
        {
            Store(dx, dInput);
        }

        Add(dWeightInput, dwi);
        Add(dWeightHidden, dwh);
        Add(dBias, db);
    }
}
