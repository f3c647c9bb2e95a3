using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Engine.Backends.Cuda;

// The LSTM by cuDNN. It keeps weights in a layout of its own: each pass copies them there, and the gradients back, so that everything outside knows one order of gates and one layout.
public sealed partial class CudaOps
{
    /// <summary>cuDNN's layers by size; made when a size is first seen, which is before a step is captured.</summary>
    private readonly Dictionary<(int Batch, int Time, int Inputs, int Hidden, CudaType Type), CudnnLstm> _cudnnLstms = [];

    private void CudnnForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve)
    {
        CudnnLstm layer = CudnnLstmOf(x, y);
        nint weights = PackWeights(layer, weightInput, weightHidden, bias, TypeOf(y));
        layer.Forward(Operand(x, TypeOf(y), CudaWorkspace.Use.RecurrentInput), y.Data, weights, _workspace.Take(CudaWorkspace.Use.RecurrentScratch, layer.WorkspaceBytes), reserve.Data);
    }

    private void CudnnBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBias)
    {
        CudnnLstm layer = CudnnLstmOf(x, y);
        CudaType type = TypeOf(y);

        // The bias does not take part in the backward pass; its place in the weight space only has to be there.
        nint weights = PackWeights(layer, weightInput, weightHidden, bias: null, type), scratch = _workspace.Take(CudaWorkspace.Use.RecurrentScratch, layer.WorkspaceBytes);
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
                _stream, count, (nint)(single + (scale * layer.OffsetOf(gate, what))), (nint)(gradient.Data + (gate * count * sizeof(float))), CudaType.Float32);
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
        var key = (x.Shape[0], x.Shape[1], x.Shape[2], y.Shape[2], TypeOf(y));
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
