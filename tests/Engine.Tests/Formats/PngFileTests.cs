using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class PngFileTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 3)]
    [InlineData(64, 48)]
    public void A_plain_decoder_reads_the_pixels(int width, int height)
    {
        byte[] rgb = new byte[width * height * 3];
        new Random(1).NextBytes(rgb);
        PngDecoder.Decode(PngFile.Encode(rgb, width, height), width, height).AsSpan().SequenceEqual(rgb).ShouldBeTrue();
    }

    [Fact]
    public void Sizes_that_do_not_fit_are_refused()
    {
        Should.Throw<ArgumentOutOfRangeException>(() => PngFile.Encode(new byte[11], 2, 2));
        Should.Throw<ArgumentOutOfRangeException>(() => PngFile.Encode([], 0, 2));
    }
}
