using CudaTrainer.Training.Pictures;
using SkiaSharp;

namespace CudaTrainer.Engine.Tests.Training;

public sealed class PngTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 3)]
    [InlineData(64, 48)]
    public void The_pixels_come_back(int width, int height)
    {
        byte[] rgb = new byte[width * height * 3];
        new Random(1).NextBytes(rgb);

        using SKBitmap picture = SKBitmap.Decode(Png.Encode(rgb, width, height));

        (picture.Width, picture.Height).ShouldBe((width, height));
        picture.Pixels.SelectMany(pixel => (byte[])[pixel.Red, pixel.Green, pixel.Blue]).ShouldBe(rgb);
    }

    [Fact]
    public void A_size_that_does_not_fit_is_refused() =>
        Should.Throw<ArgumentOutOfRangeException>(() => Png.Encode(new byte[11], 2, 2));
}
