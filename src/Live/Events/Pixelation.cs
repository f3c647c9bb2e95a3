using CudaTrainer.Data.Video;

namespace CudaTrainer.Live.Events;

/// <summary>
/// Pictures of coarse blocks: <see cref="Rows"/> of them along the shorter side, each of one colour, the mean of what was there. They show
/// that somebody moves and how, not who. Nothing finer is in the file: a block is <see cref="BlockPixels"/> wide, whatever the camera has.
/// </summary>
internal static class Pixelation
{
    /// <summary>Blocks along the shorter side of a picture.</summary>
    public const int Rows = 18;

    /// <summary>Pixels of a block across and down, those that video codecs compress together.</summary>
    public const int BlockPixels = 16;

    /// <summary>Of the pictures made of those of a size.</summary>
    public static (int Width, int Height) SizeFor((int Width, int Height) size)
    {
        (int width, int height) = size;
        int longer = (int)Math.Round((double)Rows * Math.Max(width, height) / Math.Min(width, height));
        longer = Math.Clamp(longer, Rows, 4 * Rows) * BlockPixels;
        return width >= height ? (longer, Rows * BlockPixels) : (Rows * BlockPixels, longer);
    }

    /// <param name="rgb">[height, width, 3], both multiples of <see cref="BlockPixels"/>.</param>
    public static void Apply(Span<byte> rgb, int width, int height)
    {
        for (int top = 0; top < height; top += BlockPixels)
        {
            for (int left = 0; left < width; left += BlockPixels)
            {
                Flatten(rgb, width, top, left);
            }
        }
    }

    /// <summary>Writes a video of the same frames, pixelated. It appears whole or not at all, and nothing else does.</summary>
    /// <exception cref="VideoException">The packets do not decode, or the file cannot be written.</exception>
    /// <exception cref="IOException">There is no memory for the video.</exception>
    public static void Write(PacketClip clip, string path, CancellationToken stop)
    {
        using MemoryFile video = new(clip);
        (int width, int height) = SizeFor(video.Size);
        using VideoFrameReader reader = video.Read(width, height, stop);
        VideoWriterOptions options = new()
        {
            Width = width,
            Height = height,
            HasTimes = true,
            FastStart = true,
            Codec = VideoWriter.CanEncode(VideoCodec.H264) ? VideoCodec.H264 : VideoCodec.Mpeg4,
        };
        using VideoWriter writer = new(path, options);
        while (reader.Next() is { } frame)
        {
            Apply(frame.Rgb, width, height);
            writer.AddFrame(frame.Rgb, frame.Seconds);
            reader.Return(frame);
        }

        writer.Close();
    }

    private static void Flatten(Span<byte> rgb, int width, int top, int left)
    {
        int red = 0, green = 0, blue = 0;
        for (int y = top; y < top + BlockPixels; y++)
        {
            Span<byte> row = rgb.Slice(((y * width) + left) * 3, BlockPixels * 3);
            for (int i = 0; i < row.Length; i += 3)
            {
                (red, green, blue) = (red + row[i], green + row[i + 1], blue + row[i + 2]);
            }
        }

        const int pixels = BlockPixels * BlockPixels;
        (byte r, byte g, byte b) = ((byte)(red / pixels), (byte)(green / pixels), (byte)(blue / pixels));
        for (int y = top; y < top + BlockPixels; y++)
        {
            Span<byte> row = rgb.Slice(((y * width) + left) * 3, BlockPixels * 3);
            for (int i = 0; i < row.Length; i += 3)
            {
                (row[i], row[i + 1], row[i + 2]) = (r, g, b);
            }
        }
    }
}
