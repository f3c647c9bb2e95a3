using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Backends.Cuda;

// Reserve of our own LSTM: gates [B, T, 4H] of the activations' type, then cells [B, T, H] in single precision. Backward turns the gates into their gradients in place.
// Reserve of the GRU: r, z, n and the recurrent part of n [B, T, 4H] of the activations' type.
public sealed partial class CudaOps
{
    private const int LstmGates = 4;
    private const int GruGates = 3;
    private const int Alignment = 256;

    public long LstmReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => UsesCudnn(y, options)
        ? CudnnLstmOf(x, y).ReserveBytes
        : GateBytes(y, LstmGates) + (y.Count * sizeof(float));

    public void LstmForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, in RecurrentOptions options)
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
            false, true, batch * time, LstmGates * hidden, inputs, input, inputs, Operand(weightInput, type, CudaWorkspace.Use.OperandA), inputs, type, gates, type, accumulate: false);
        _lstm.Forward(
            _stream, batch, time, hidden, gates, bias.Data, Operand(weightHidden, type, CudaWorkspace.Use.OperandB), y.Data, cells, options.Reverse, type);
    }

    public void LstmBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBias, in RecurrentOptions options)
    {
        if (UsesCudnn(y, options))
        {
            CudnnBackward(dy, x, weightInput, weightHidden, y, reserve, dx, dWeightInput, dWeightHidden, dBias);
            return;
        }

        int batch = x.Shape[0], time = x.Shape[1], hidden = y.Shape[2];
        CudaType type = TypeOf(y);
        nint gates = reserve.Data, cells = (nint)(gates + GateBytes(y, LstmGates));
        _lstm.Backward(
            _stream, batch, time, hidden, dy.Data, gates, cells, Operand(weightHidden, type, CudaWorkspace.Use.OperandB), gates, options.Reverse, type);
        InputGradients(x, weightInput, y, gates, LstmGates * hidden, dx, dWeightInput, dBias, type);
        HiddenGradients(y, gates, LstmGates * hidden, dWeightHidden, options.Reverse, type);
    }

    public long GruReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => GateBytes(y, GruGates + 1);

    public void GruForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        CudaType type = TypeOf(y);
        nint fromInput = _workspace.Take(CudaWorkspace.Use.RecurrentGradients, GateBytes(y, GruGates));
        nint input = Operand(x, type, CudaWorkspace.Use.RecurrentInput);
        Multiply(
            false, true, batch * time, GruGates * hidden, inputs, input, inputs, Operand(weightInput, type, CudaWorkspace.Use.OperandA), inputs, type, fromInput, type, accumulate: false);
        _gru.Forward(
            _stream, batch, time, hidden, fromInput, biasInput.Data, biasHidden.Data, Operand(weightHidden, type, CudaWorkspace.Use.OperandB), y.Data, reserve.Data, options.Reverse, type);
    }

    public void GruBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBiasInput, Tensor dBiasHidden, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], hidden = y.Shape[2], columns = GruGates * hidden;
        CudaType type = TypeOf(y);
        nint dInput = _workspace.Take(CudaWorkspace.Use.RecurrentGradients, GateBytes(y, GruGates)), dHidden = _workspace.Take(CudaWorkspace.Use.RecurrentScratch, GateBytes(y, GruGates));
        _gru.Backward(
            _stream, batch, time, hidden, dy.Data, y.Data, reserve.Data, Operand(weightHidden, type, CudaWorkspace.Use.OperandB), dInput, dHidden, options.Reverse, type);
        InputGradients(x, weightInput, y, dInput, columns, dx, dWeightInput, dBiasInput, type);
        HiddenGradients(y, dHidden, columns, dWeightHidden, options.Reverse, type);
        _columnSums.Run(_stream, y.Shape.Rows, columns, dHidden, dBiasHidden.Data, type);
    }

    /// <summary>Bytes of [B, T, gates·H], rounded up so that what follows is aligned.</summary>
    private static long GateBytes(Tensor y, int gates) => ((y.Bytes * gates) + Alignment - 1) / Alignment * Alignment;

    /// <summary>dx = dz·W_ih, dW_ih += dzᵀ·x, dbias += column sums of dz.</summary>
    private void InputGradients(Tensor x, Tensor weightInput, Tensor y, nint dz, int columns, Tensor? dx, Tensor dWeightInput, Tensor dBias, CudaType type)
    {
        int rows = y.Shape.Rows, inputs = x.Shape[2];
        nint input = Operand(x, type, CudaWorkspace.Use.RecurrentInput);
        Multiply(true, false, columns, inputs, rows, dz, columns, input, inputs, type, dWeightInput.Data, CudaType.Float32, accumulate: true);
        _columnSums.Run(_stream, rows, columns, dz, dBias.Data, type);
        if (dx is not null)
        {
            Multiply(
                false, false, rows, inputs, columns, dz, columns, Operand(weightInput, type, CudaWorkspace.Use.OperandA), inputs, type, dx.Data, TypeOf(dx), accumulate: false);
        }
    }

    /// <summary>dW_hh += dzᵀ·h of the step before.</summary>
    private void HiddenGradients(Tensor y, nint dz, int columns, Tensor dWeightHidden, bool reverse, CudaType type)
    {
        int hidden = y.Shape[2];
        nint previous = _workspace.Take(CudaWorkspace.Use.States, y.Bytes);
        _recurrent.PreviousStates(_stream, y.Shape[0], y.Shape[1], hidden, y.Data, previous, reverse, type);
        Multiply(true, false, columns, hidden, y.Shape.Rows, dz, columns, previous, hidden, type, dWeightHidden.Data, CudaType.Float32, accumulate: true);
    }

    /// <summary>cuDNN has no reverse direction on its own; such layers run by our kernels.</summary>
    private bool UsesCudnn(Tensor y, in RecurrentOptions options) => !options.Reverse && _options.Lstm switch
    {
        LstmPath.Cudnn => true,
        LstmPath.Fused => false,
        _ => y.Shape[2] > Gpu.Recurrent.MaxRegisterHidden && Kernels.Interop.Cuda.HasCudnn,
    };
}
