using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>y = (rgb − mean)·scale per channel, in the device's layout for convolutions.</summary>
    /// <param name="rgb">[images, height, width, 3] UInt8.</param>
    /// <param name="y">Opaque, <see cref="ConvBytes"/> of 3 channels.</param>
    void NormalizeImage(Tensor rgb, Tensor y, in ImageNormalization normalization);
}

/// <summary>(v − Mean) · Scale for each channel of an RGB image with values 0 to 255.</summary>
/// <param name="Bgr">The network's first channel is blue. Mean and Scale stay in the order red, green, blue.</param>
public readonly record struct ImageNormalization(
    float MeanRed, float MeanGreen, float MeanBlue, float ScaleRed, float ScaleGreen, float ScaleBlue, bool Bgr)
{
    /// <summary>torchvision: RGB/255, minus (.485, .456, .406), over (.229, .224, .225).</summary>
    public static ImageNormalization Torch { get; } = new(
        0.485f * 255, 0.456f * 255, 0.406f * 255, 1 / (255 * 0.229f), 1 / (255 * 0.224f), 1 / (255 * 0.225f), Bgr: false);

    /// <summary>Caffe and Keras: BGR, minus (103.939, 116.779, 123.68).</summary>
    public static ImageNormalization Caffe { get; } = new(123.68f, 116.779f, 103.939f, 1, 1, 1, Bgr: true);
}

internal sealed unsafe partial class CpuOps
{
    public void NormalizeImage(Tensor rgb, Tensor y, in ImageNormalization normalization)
    {
        Span<float> scale = [normalization.ScaleRed, normalization.ScaleGreen, normalization.ScaleBlue];
        Span<float> shift = [-normalization.MeanRed * scale[0], -normalization.MeanGreen * scale[1], -normalization.MeanBlue * scale[2]];
        if (normalization.Bgr)
        {
            scale.Reverse();
            shift.Reverse();
        }

        Cpu.NormalizeImage.Run(team, rgb.Shape[0], rgb.Shape[1], rgb.Shape[2], (byte*)rgb.Data, scale, shift, normalization.Bgr, Floats(y));
    }
}

internal sealed partial class CudaOps
{
    private Gpu.NormalizeImage NormalizeImageKernels => field ??= new Gpu.NormalizeImage(_kernels);

    public void NormalizeImage(Tensor rgb, Tensor y, in ImageNormalization normalization) => NormalizeImageKernels.Run(
        _stream, rgb.Shape[0], rgb.Shape[1], rgb.Shape[2], rgb.Data, y.Data, ConvType,
        [normalization.MeanRed, normalization.MeanGreen, normalization.MeanBlue],
        [normalization.ScaleRed, normalization.ScaleGreen, normalization.ScaleBlue], normalization.Bgr);
}

internal sealed unsafe partial class ReferenceOps
{
    public void NormalizeImage(Tensor rgb, Tensor y, in ImageNormalization normalization)
    {
        int images = rgb.Shape[0], height = rgb.Shape[1], width = rgb.Shape[2];
        byte* source = (byte*)rgb.Data;
        float* target = (float*)y.Data;
        float[] mean = [normalization.MeanRed, normalization.MeanGreen, normalization.MeanBlue];
        float[] scale = [normalization.ScaleRed, normalization.ScaleGreen, normalization.ScaleBlue];
        for (long pixel = 0; pixel < (long)images * height * width; pixel++)
        {
            long image = pixel / (height * width), place = pixel % (height * width);
            for (int c = 0; c < 3; c++)
            {
                int channel = normalization.Bgr ? 2 - c : c;
                double value = (source[(pixel * 3) + c] - (double)mean[c]) * scale[c];
                target[(((image * 3) + channel) * height * width) + place] = (float)value;
            }
        }
    }
}
