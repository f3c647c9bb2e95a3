using System.Runtime.InteropServices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Engine.Backends.Cpu;

public sealed unsafe partial class CpuOps
{
    public DType BackboneType => DType.Float32;

    public long ConvBytes(int images, int channels, int height, int width) => sizeof(float) * (long)ConvLayout.ElementCount(images, channels, height, width);

    public PreparedWeights PrepareConv3x3(Tensor weight, Tensor bias)
    {
        int outputs = weight.Shape[0], inputs = weight.Shape[1];
        var prepared = new ConvWeights(Conv3x3.WeightElementCount(team.Level, outputs, inputs), bias.Read<float>());
        Conv3x3.Prepare(team, outputs, inputs, Floats(weight), prepared.Filters);
        return prepared;
    }

    public PreparedWeights PrepareLinear(Tensor weight, Tensor bias)
    {
        var matrix = new PackedMatrix(team.Level, weight.Shape[1], weight.Shape[0]);
        matrix.Pack(team, true, Floats(weight), weight.Shape[1]);
        return new LinearWeights(matrix, bias.Read<float>());
    }

    public void NormalizeImage(Tensor rgb, Tensor y, in ImageNormalization normalization)
    {
        Span<float> scale = [normalization.ScaleRed, normalization.ScaleGreen, normalization.ScaleBlue];
        Span<float> shift = [-normalization.MeanRed * scale[0], -normalization.MeanGreen * scale[1], -normalization.MeanBlue * scale[2]];
        if (normalization.Bgr)
        {
            scale.Reverse();
            shift.Reverse();
        }

        Kernels.Cpu.NormalizeImage.Run(team, rgb.Shape[0], rgb.Shape[1], rgb.Shape[2], (byte*)rgb.Data, scale, shift, normalization.Bgr, Floats(y));
    }

    public void Conv3x3BiasRelu(Tensor x, Tensor y, Shape shape, PreparedWeights weights, bool pool)
    {
        var w = (ConvWeights)weights;
        fixed (float* bias = w.Bias)
        {
            Conv3x3.Run(team, shape[0], shape[1], shape[2], shape[3], w.Bias.Length, Floats(x), w.Filters, bias, Floats(y), Activation.Relu, pool);
        }
    }

    public void ConvFlatten(Tensor x, Tensor y, Shape shape) => Kernels.Cpu.ConvFlatten.Run(team, shape[0], shape[1], shape[2], shape[3], Floats(x), Floats(y));

    public void LinearPreparedRelu(Tensor x, PreparedWeights weights, Tensor y)
    {
        var w = (LinearWeights)weights;
        fixed (float* bias = w.Bias)
        {
            Kernels.Cpu.Gemm.RunPacked(team, false, x.Shape[0], Floats(x), x.Shape[1], w.Matrix, Floats(y), y.Shape[1], bias: bias, activation: Activation.Relu);
        }
    }

    private sealed class ConvWeights(nint count, float[] bias) : PreparedWeights
    {
        public float* Filters { get; private set; } = (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), 64);

        public float[] Bias { get; } = bias;

        public override void Dispose()
        {
            NativeMemory.AlignedFree(Filters);
            Filters = null;
        }
    }

    private sealed class LinearWeights(PackedMatrix matrix, float[] bias) : PreparedWeights
    {
        public PackedMatrix Matrix { get; } = matrix;

        public float[] Bias { get; } = bias;

        public override void Dispose() => Matrix.Dispose();
    }
}
