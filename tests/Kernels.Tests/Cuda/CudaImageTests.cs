using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

[Collection(CudaCollection.Name)]
public sealed class CudaImageTests(CudaFixture fixture)
{
    public static TheoryData<CudaType, bool> Types => CudaTolerance.Types;

    [Theory]
    [InlineData(CudaType.Float32, false)]
    [InlineData(CudaType.Float32, true)]
    [InlineData(CudaType.Float16, false)]
    [InlineData(CudaType.Float16, true)]
    public void Images_are_normalised_and_padded_to_eight_channels(CudaType type, bool blueFirst)
    {
        var op = new Cuda.NormalizeImage(fixture.Library);
        float[] mean = [123.675f, 116.28f, 103.53f], scale = [0.01712f, 0.01751f, 0.01743f];
        foreach ((int images, int height, int width) in ((int, int, int)[])[(0, 4, 4), (1, 1, 1), (1, 3, 5), (2, 17, 31), (3, 32, 33)])
        {
            using var arrays = new DeviceArrays(fixture, type);
            byte[] rgb = new byte[images * height * width * 3];
            new Random(1).NextBytes(rgb);
            DeviceArray y = arrays.Output(images * height * width * 8);
            op.Run(fixture.Stream, images, height, width, arrays.Raw(rgb), y, type, mean, scale, blueFirst);
            double[] expected = new double[images * height * width * 8];
            for (int i = 0; i < expected.Length; i++)
            {
                int channel = i % 8, source = blueFirst ? 2 - channel : channel;
                expected[i] = channel < 3 ? (rgb[(i / 8 * 3) + source] - (double)mean[source]) * scale[source] : 0;
            }

            y.Read().ShouldAgreeWith(expected, type.Forward(), $"{images}×{height}×{width}");
            arrays.Verify();
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Flatten_transposes_every_image(CudaType type, bool misaligned)
    {
        var op = new Cuda.ConvFlatten(fixture.Library);
        foreach ((int images, int channels, int height, int width) in ((int, int, int, int)[])[(0, 3, 2, 2), (1, 1, 1, 1), (2, 33, 7, 7),
            (3, 64, 1, 2), (1, 5, 8, 9), (2, 31, 4, 8)])
        {
            using var arrays = new DeviceArrays(fixture, type, misaligned);
            int pixels = height * width;
            float[] x = arrays.Rounded(Numbers.Random(images * channels * pixels, 1));
            DeviceArray y = arrays.Output(x.Length);
            op.Run(fixture.Stream, images, channels, height, width, arrays.Input(x), y, type);
            y.Read().ShouldBeTheSameBitsAs(
                [.. Enumerable.Range(0, x.Length)
                    .Select(i => x[(((i / (channels * pixels) * pixels) + (i % pixels)) * channels) + (i / pixels % channels)])],
                    $"{images}×{channels}");
            arrays.Verify();
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Filters_are_packed_with_padding(CudaType type, bool misaligned)
    {
        var op = new Cuda.PackFilters(fixture.Library);
        foreach ((int filters, int channels, int padded) in ((int, int, int)[])[(0, 3, 8), (1, 1, 1), (5, 3, 8), (16, 8, 8), (7, 33, 40)])
        {
            using var arrays = new DeviceArrays(fixture, type, misaligned);
            float[] weights = arrays.Rounded(Numbers.Random(filters * channels * 9, 1));
            DeviceArray packed = arrays.Output(filters * 9 * padded);
            op.Run(fixture.Stream, filters, channels, padded, arrays.Floats(weights), packed, type);
            float[] expected = new float[filters * 9 * padded];
            for (int i = 0; i < expected.Length; i++)
            {
                int channel = i % padded, tap = i / padded % 9, filter = i / (9 * padded);
                expected[i] = channel < channels ? weights[(((filter * channels) + channel) * 9) + tap] : 0;
            }

            packed.Read().ShouldBeTheSameBitsAs(expected, $"{filters}×{channels}");
            arrays.Verify();
        }
    }
}
