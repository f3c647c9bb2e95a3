using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Formats;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Cuda;

/// <summary>
/// The backbone's ops on CUDA: a small network of the same kinds of layers against the reference, and VGG19 itself against PyTorch.
/// </summary>
[Collection(CudaCollection.Name)]
public sealed class CudaConvolutionTests
{
    [Theory]
    [InlineData(false, false, 1e-5)]
    [InlineData(false, true, 1e-5)]
    [InlineData(true, false, 3e-3)]
    [InlineData(true, true, 3e-3)]
    public void A_small_network_agrees_with_the_reference(bool half, bool bgr, double tolerance)
    {
        using CudaDevice cuda = CudaSimulator.Open(new CudaDeviceOptions(HalfBackbone: half));
        using var reference = new ReferenceDevice();
        ImageNormalization normalization = bgr ? ImageNormalization.Caffe : ImageNormalization.Torch;

        // Half precision holds 65504 at most: Caffe's pixels, up to 150, need smaller weights than Torch's.
        double scale = bgr ? 0.02 : 1;
        double[] expected = Run(reference, normalization, scale), actual = Run(cuda, normalization, scale);
        expected.Count(value => value > 0).ShouldBeGreaterThan(expected.Length / 5);
        GradientCheck.RelativeError(actual, expected).ShouldBeLessThan(tolerance);
    }

    [Theory]
    [Trait("Category", "Slow")]
    [InlineData(false, 1e-4)]
    [InlineData(true, 1e-2)]
    public void Vgg19_agrees_with_PyTorch(bool half, double tolerance)
    {
        using CudaDevice device = CudaSimulator.Open(new CudaDeviceOptions(HalfBackbone: half));
        using var network = new Vgg19(device, new FormulaWeights(), ImageNormalization.Torch);
        float[] golden = NpyFile.ReadSingle(GoldenFiles.Path("vgg19.npy")).Data;
        using Tensor rgb = Tensor.Allocate(device, [2, Vgg19.ImageSize, Vgg19.ImageSize, 3], DType.UInt8),
            features = Tensor.Allocate(device, [2, Vgg19.Features]);
        device.Upload(FormulaWeights.Pixels(2), rgb.Data);
        network.Forward(rgb, features);
        double error = GradientCheck.RelativeError(features.ToDoubles(), [.. golden.Select(x => (double)x)]);
        error.ShouldBeLessThan(tolerance);
    }

    /// <summary>Two convolutions, the second one pooled, and a dense layer, on three images of 8×12.</summary>
    private static double[] Run(IDevice device, ImageNormalization normalization, double scale)
    {
        const int Images = 3, Height = 8, Width = 12, First = 16, Second = 24, Outputs = 19;
        IOps ops = device.Ops;
        byte[] pixels = [.. Enumerable.Range(0, Images * Height * Width * 3).Select(i => (byte)(FormulaNoise.Hash(i, 5) >> 24))];
        using Tensor rgb = Tensor.Allocate(device, [Images, Height, Width, 3], DType.UInt8);
        device.Upload(pixels, rgb.Data);
        using PreparedWeights first = Convolution(3, First, 1, scale), second = Convolution(First, Second, 2, 1);
        using Tensor weight = Noise([Outputs, Second * Height / 2 * Width / 2], 3, 0.1), bias = Noise([Outputs], 4, 0.1);
        using PreparedWeights dense = ops.PrepareLinear(weight, bias);
        using Tensor image = Block(3, Height, Width), one = Block(First, Height, Width), two = Block(Second, Height / 2, Width / 2);
        using Tensor flat = Tensor.Allocate(device, [Images, Second * Height / 2 * Width / 2], ops.BackboneType),
            features = Tensor.Allocate(device, [Images, Outputs]);
        ops.NormalizeImage(rgb, image, normalization);
        ops.Conv3x3BiasRelu(image, one, [Images, 3, Height, Width], first, pool: false);
        ops.Conv3x3BiasRelu(one, two, [Images, First, Height, Width], second, pool: true);
        ops.ConvFlatten(two, flat, [Images, Second, Height / 2, Width / 2]);
        ops.LinearPreparedRelu(flat, dense, features);
        return [.. flat.ToDoubles(), .. features.ToDoubles()];

        Tensor Block(int channels, int height, int width) =>
            Tensor.Allocate(device, [checked((int)ops.ConvBytes(Images, channels, height, width))], DType.UInt8);

        Tensor Noise(Shape shape, int seed, double size) =>
            Tensor.From(device, shape, [.. Enumerable.Range(0, (int)shape.Count).Select(i => FormulaNoise.At(i, seed, size))]);

        PreparedWeights Convolution(int inputs, int outputs, int seed, double size)
        {
            using Tensor filters = Noise([outputs, inputs, 3, 3], seed, size * Math.Sqrt(2.0 / (9 * inputs))),
                offsets = Noise([outputs], seed + 10, 0.1);
            return ops.PrepareConv3x3(filters, offsets);
        }
    }
}
