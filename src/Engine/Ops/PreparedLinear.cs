using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>Weights for <see cref="LinearPreparedRelu"/>.</summary>
    /// <param name="weight">[out, in].</param>
    /// <param name="bias">[out].</param>
    PreparedWeights PrepareLinear(Tensor weight, Tensor bias);

    /// <summary>y = relu(x·Wᵀ + b).</summary>
    /// <param name="x">[rows, in], <see cref="BackboneType"/>.</param>
    /// <param name="y">[rows, out], <see cref="BackboneType"/> or Float32.</param>
    void LinearPreparedRelu(Tensor x, PreparedWeights weights, Tensor y);
}

internal sealed unsafe partial class CpuOps
{
    public PreparedWeights PrepareLinear(Tensor weight, Tensor bias)
    {
        var matrix = new Cpu.PackedMatrix(team.Level, weight.Shape[1], weight.Shape[0]);
        matrix.Pack(team, true, Floats(weight), weight.Shape[1]);
        return new LinearWeights(matrix, bias.Read<float>());
    }

    public void LinearPreparedRelu(Tensor x, PreparedWeights weights, Tensor y)
    {
        var w = (LinearWeights)weights;
        fixed (float* bias = w.Bias)
        {
            Cpu.Gemm.RunPacked(
                team, false, x.Shape[0], Floats(x), x.Shape[1], w.Matrix, Floats(y), y.Shape[1], bias: bias,
                activation: Cpu.Activation.Relu);
        }
    }

    private sealed class LinearWeights(Cpu.PackedMatrix matrix, float[] bias) : PreparedWeights
    {
        public Cpu.PackedMatrix Matrix { get; } = matrix;

        public float[] Bias { get; } = bias;

        public override void Dispose() => Matrix.Dispose();
    }
}

internal sealed partial class CudaOps
{
    public PreparedWeights PrepareLinear(Tensor weight, Tensor bias)
    {
        // The bias is added by our kernel, which reads single precision.
        DeviceBuffer own = _device.Allocate(bias.Bytes, "dense bias");
        _device.Copy(bias.Data, own.Pointer, bias.Bytes);
        return new LinearWeights(_device, Converted(weight, "dense weights"), own, weight.Shape[0], weight.Shape[1]);
    }

    public void LinearPreparedRelu(Tensor x, PreparedWeights weights, Tensor y)
    {
        var w = (LinearWeights)weights;
        nint input = Operand(x, ConvType, CudaWorkspace.Use.OperandA);
        Multiply(
            false, true, x.Shape.Rows, w.Outputs, w.Inputs, input, w.Inputs, w.Matrix.Pointer, w.Inputs, ConvType, y.Data, TypeOf(y),
            accumulate: false);
        BiasReluKernels.Run(_stream, x.Shape.Rows, w.Outputs, y.Data, w.Bias.Pointer, relu: true, TypeOf(y));
    }

    private sealed class LinearWeights(IDevice device, DeviceBuffer matrix, DeviceBuffer bias, int outputs, int inputs) : PreparedWeights
    {
        /// <summary>[Outputs, Inputs].</summary>
        public DeviceBuffer Matrix { get; } = matrix;

        /// <summary>[Outputs], single precision.</summary>
        public DeviceBuffer Bias { get; } = bias;

        public int Outputs { get; } = outputs;

        public int Inputs { get; } = inputs;

        public override void Dispose()
        {
            device.Free(Matrix);
            device.Free(Bias);
        }
    }
}

internal sealed partial class ReferenceOps
{
    public PreparedWeights PrepareLinear(Tensor weight, Tensor bias) => new Weights(Load(weight), Load(bias), weight.Shape[1]);

    public void LinearPreparedRelu(Tensor x, PreparedWeights weights, Tensor y)
    {
        var w = (Weights)weights;
        double[] input = Load(x), output = new double[y.Count];
        int outputs = w.Bias.Length;
        for (int row = 0; row < x.Shape[0]; row++)
        {
            for (int o = 0; o < outputs; o++)
            {
                double sum = w.Bias[o];
                for (int i = 0; i < w.Inputs; i++)
                {
                    sum += input[(row * w.Inputs) + i] * w.Values[((long)o * w.Inputs) + i];
                }

                output[(row * outputs) + o] = Math.Max(sum, 0);
            }
        }

        Store(y, output);
    }
}
