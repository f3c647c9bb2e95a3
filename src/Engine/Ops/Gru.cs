using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>Bytes of the reserve that <see cref="GruForward"/> of x and y fills for <see cref="GruBackward"/>.</summary>
    long GruReserveBytes(Tensor x, Tensor y, in RecurrentOptions options);

    /// <summary>
    /// A whole-sequence GRU from zero state, in the form of PyTorch and of Keras with <c>reset_after</c>: r, z = σ(x·W_ihᵀ + b_ih + h·W_hhᵀ
    /// + b_hh), n = tanh(x·W_inᵀ + b_in + r·(h·W_hnᵀ + b_hn)), h ← (1−z)·n + z·h (Cho et al. 2014, arXiv:1406.1078, version 1).
    /// </summary>
    /// <param name="x">[batch, time, input].</param>
    /// <param name="weightInput">[3·hidden, input], gate blocks in the order r, z, n.</param>
    /// <param name="weightHidden">[3·hidden, hidden].</param>
    /// <param name="biasInput">[3·hidden].</param>
    /// <param name="biasHidden">[3·hidden].</param>
    /// <param name="y">[batch, time, hidden].</param>
    /// <param name="reserve">Opaque, <see cref="GruReserveBytes"/>.</param>
    void GruForward(
        Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve,
        in RecurrentOptions options);

    /// <summary>The gradients of <see cref="GruForward"/>; <paramref name="dx"/> is skipped when null.</summary>
    void GruBackward(
        Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput,
        Tensor dWeightHidden, Tensor dBiasInput, Tensor dBiasHidden, in RecurrentOptions options);
}

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

    private GruFunction(
        Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve,
        RecurrentOptions options)
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
    public static Tensor Apply(
        Tape tape, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden,
        RecurrentOptions options = default)
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
            _y.Gradient!, _x, _weightInput, _weightHidden, _y, _reserve, dx, tape.ParameterGradient(_weightInput)!,
            tape.ParameterGradient(_weightHidden)!, tape.ParameterGradient(_biasInput)!, tape.ParameterGradient(_biasHidden)!, _options);
        tape.EndGradient(_x, dx);
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        new("Gru", Inputs(draw, 3, 4, 6, 5), (tape, t) => Apply(tape, t[0], t[1], t[2], t[3], t[4])),
        new(
            "Gru reverse", Inputs(draw, 2, 5, 9, 16),
            (tape, t) => Apply(tape, t[0], t[1], t[2], t[3], t[4], new RecurrentOptions(Reverse: true))),
    ];

    private static OpInput[] Inputs(InputDrawer draw, int batch, int time, int inputs, int hidden) =>
    [
        draw.Normal("x", [batch, time, inputs]),
        draw.Parameter("weight_ih", [3 * hidden, inputs], 0.4),
        draw.Parameter("weight_hh", [3 * hidden, hidden], 0.4),
        draw.Parameter("bias_ih", [3 * hidden], 0.4),
        draw.Parameter("bias_hh", [3 * hidden], 0.4),
    ];
}

internal sealed unsafe partial class CpuOps
{
    public long GruReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => Cpu.Gru.ReserveBytes(ShapeOf(x, y, options));

    public void GruForward(
        Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve,
        in RecurrentOptions options)
    {
        if (x.DType == DType.Float16)
        {
            Cpu.Gru.Forward(
                team, ShapeOf(x, y, options), (Half*)x.Data, Floats(weightInput), Floats(weightHidden), Floats(biasInput),
                Floats(biasHidden), Floats(y), (void*)reserve.Data);
        }
        else
        {
            Cpu.Gru.Forward(
                team, ShapeOf(x, y, options), Floats(x), Floats(weightInput), Floats(weightHidden), Floats(biasInput), Floats(biasHidden),
                Floats(y), (void*)reserve.Data);
        }
    }

    public void GruBackward(
        Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput,
        Tensor dWeightHidden, Tensor dBiasInput, Tensor dBiasHidden, in RecurrentOptions options)
    {
        float* inputGradient = dx is null ? null : Floats(dx);
        if (x.DType == DType.Float16)
        {
            Cpu.Gru.Backward(
                team, ShapeOf(x, y, options), (Half*)x.Data, Floats(weightInput), Floats(weightHidden), Floats(y), (void*)reserve.Data,
                Floats(dy), inputGradient, Floats(dWeightInput), Floats(dWeightHidden), Floats(dBiasInput), Floats(dBiasHidden));
        }
        else
        {
            Cpu.Gru.Backward(
                team, ShapeOf(x, y, options), Floats(x), Floats(weightInput), Floats(weightHidden), Floats(y), (void*)reserve.Data,
                Floats(dy), inputGradient, Floats(dWeightInput), Floats(dWeightHidden), Floats(dBiasInput), Floats(dBiasHidden));
        }
    }
}

internal sealed partial class CudaOps
{
    private const int GruGates = 3;

    private Gpu.Gru GruKernels => field ??= new Gpu.Gru(_kernels);

    // Reserve: r, z, n and the recurrent part of n [B, T, 4H] of the activations' type.
    public long GruReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => GateBytes(y, GruGates + 1);

    public void GruForward(
        Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve,
        in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        CudaType type = TypeOf(y);
        nint fromInput = _workspace.Take(CudaWorkspace.Use.RecurrentGradients, GateBytes(y, GruGates));
        nint input = Operand(x, type, CudaWorkspace.Use.RecurrentInput);
        Multiply(
            false, true, batch * time, GruGates * hidden, inputs, input, inputs, Operand(weightInput, type, CudaWorkspace.Use.OperandA),
            inputs, type, fromInput, type, accumulate: false);
        GruKernels.Forward(
            _stream, batch, time, hidden, fromInput, biasInput.Data, biasHidden.Data,
            Operand(weightHidden, type, CudaWorkspace.Use.OperandB), y.Data, reserve.Data, options.Reverse, type);
    }

    public void GruBackward(
        Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput,
        Tensor dWeightHidden, Tensor dBiasInput, Tensor dBiasHidden, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], hidden = y.Shape[2], columns = GruGates * hidden;
        CudaType type = TypeOf(y);
        nint dInput = _workspace.Take(CudaWorkspace.Use.RecurrentGradients, GateBytes(y, GruGates));
        nint dHidden = _workspace.Take(CudaWorkspace.Use.RecurrentScratch, GateBytes(y, GruGates));
        GruKernels.Backward(
            _stream, batch, time, hidden, dy.Data, y.Data, reserve.Data, Operand(weightHidden, type, CudaWorkspace.Use.OperandB), dInput,
            dHidden, options.Reverse, type);
        InputGradients(x, weightInput, y, dInput, columns, dx, dWeightInput, dBiasInput, type);
        HiddenGradients(y, dHidden, columns, dWeightHidden, options.Reverse, type);
        ColumnSumKernels.Run(_stream, y.Shape.Rows, columns, dHidden, dBiasHidden.Data, type);
    }
}

internal sealed unsafe partial class ReferenceOps
{
    // The reserve holds, as doubles, r, z, n and the recurrent part of n, [batch, time, 4·hidden].
    public long GruReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => 8L * 4 * y.Count;

    public void GruForward(
        Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve,
        in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        double[] input = Load(x), wi = Load(weightInput), wh = Load(weightHidden), bi = Load(biasInput), bh = Load(biasHidden),
            output = new double[y.Count];
        double* saved = (double*)reserve.Data;
        double[] fromInput = new double[3 * hidden], fromHidden = new double[3 * hidden];
        for (int n = 0; n < batch; n++)
        {
            double[] h = new double[hidden];
            for (int step = 0; step < time; step++)
            {
                int row = (n * time) + (options.Reverse ? time - 1 - step : step);
                Project(fromInput, bi, wi, input.AsSpan(row * inputs, inputs));
                Project(fromHidden, bh, wh, h);
                for (int j = 0; j < hidden; j++)
                {
                    double r = Sigmoid(fromInput[j] + fromHidden[j]);
                    double z = Sigmoid(fromInput[hidden + j] + fromHidden[hidden + j]);
                    double recurrent = fromHidden[(2 * hidden) + j];
                    double candidate = Math.Tanh(fromInput[(2 * hidden) + j] + (r * recurrent));
                    h[j] = ((1 - z) * candidate) + (z * h[j]);
                    long at = ((long)row * 4 * hidden) + j;
                    (saved[at], saved[at + hidden], saved[at + (2 * hidden)], saved[at + (3 * hidden)]) = (r, z, candidate, recurrent);
                    output[(row * hidden) + j] = h[j];
                }
            }
        }

        Store(y, output);
    }

    public void GruBackward(
        Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput,
        Tensor dWeightHidden, Tensor dBiasInput, Tensor dBiasHidden, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        double[] input = Load(x), wi = Load(weightInput), wh = Load(weightHidden), output = Load(y), upstream = Load(dy);
        double[] dInput = new double[input.Length], dwi = new double[wi.Length], dwh = new double[wh.Length],
            dbi = new double[3 * hidden], dbh = new double[3 * hidden];
        double* saved = (double*)reserve.Data;
        double[] dFromInput = new double[3 * hidden], dFromHidden = new double[3 * hidden];
        for (int n = 0; n < batch; n++)
        {
            double[] dh = new double[hidden];
            for (int step = time - 1; step >= 0; step--)
            {
                int row = (n * time) + (options.Reverse ? time - 1 - step : step);
                int before = step == 0 ? -1 : (n * time) + (options.Reverse ? time - step : step - 1);
                double[] direct = new double[hidden];
                for (int j = 0; j < hidden; j++)
                {
                    long at = ((long)row * 4 * hidden) + j;
                    double r = saved[at], z = saved[at + hidden], candidate = saved[at + (2 * hidden)],
                        recurrent = saved[at + (3 * hidden)];
                    double stateBefore = before < 0 ? 0 : output[(before * hidden) + j];
                    double dhj = dh[j] + upstream[(row * hidden) + j];
                    double dCandidate = dhj * (1 - z) * (1 - (candidate * candidate));
                    double dz = dhj * (stateBefore - candidate) * z * (1 - z);
                    double dr = dCandidate * recurrent * r * (1 - r);
                    (dFromInput[j], dFromInput[hidden + j], dFromInput[(2 * hidden) + j]) = (dr, dz, dCandidate);
                    (dFromHidden[j], dFromHidden[hidden + j], dFromHidden[(2 * hidden) + j]) = (dr, dz, dCandidate * r);
                    direct[j] = dhj * z;
                }

                BackProject(dFromInput, wi, input.AsSpan(row * inputs, inputs), dInput.AsSpan(row * inputs, inputs), dwi);
                Array.Clear(dh);
                BackProject(dFromHidden, wh, before < 0 ? default : output.AsSpan(before * hidden, hidden), dh, dwh);
                for (int j = 0; j < hidden; j++)
                {
                    dh[j] += direct[j];
                }

                for (int j = 0; j < 3 * hidden; j++)
                {
                    dbi[j] += dFromInput[j];
                    dbh[j] += dFromHidden[j];
                }
            }
        }

        if (dx is not null)
        {
            Store(dx, dInput);
        }

        Add(dWeightInput, dwi);
        Add(dWeightHidden, dwh);
        Add(dBiasInput, dbi);
        Add(dBiasHidden, dbh);
    }
}
