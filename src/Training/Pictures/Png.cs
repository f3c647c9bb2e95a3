using SkiaSharp;

namespace CudaTrainer.Training.Pictures;

/// <summary>Pictures as PNG files.</summary>
internal static class Png
{
    /// <summary>Half the time of the best compression, for files that are a few per cent larger.</summary>
    private static readonly SKPngEncoderOptions Options = new(SKPngEncoderFilterFlags.AllFilters, zLibLevel: 4);

    /// <param name="rgb">[height, width, 3], rows from the top.</param>
    public static byte[] Encode(ReadOnlySpan<byte> rgb, int width, int height)
    {
        using SKBitmap picture = BitmapOf(rgb, width, height);
        return Encode(picture);
    }

    /// <param name="rgb">[height, width, 3], rows from the top.</param>
    /// <param name="shownWidth">That it is stretched to.</param>
    public static byte[] Encode(ReadOnlySpan<byte> rgb, int width, int height, int shownWidth)
    {
        using SKBitmap picture = BitmapOf(rgb, width, height), shown = new(shownWidth, height, SKColorType.Rgb888x, SKAlphaType.Opaque);
        picture.ScalePixels(shown, new SKSamplingOptions(SKFilterMode.Linear));
        return Encode(shown);
    }

    public static byte[] Encode(SKBitmap picture)
    {
        using SKPixmap pixels = picture.PeekPixels();
        using SKData file = pixels.Encode(Options)!;
        return file.ToArray();
    }

    private static SKBitmap BitmapOf(ReadOnlySpan<byte> rgb, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(rgb.Length, (long)width * height * 3);
        var picture = new SKBitmap(width, height, SKColorType.Rgb888x, SKAlphaType.Opaque);
        Span<byte> pixels = picture.GetPixelSpan();
        for (int from = 0, to = 0; from < rgb.Length; from += 3, to += 4)
        {
            rgb.Slice(from, 3).CopyTo(pixels[to..]);
        }

        return picture;
    }
}
