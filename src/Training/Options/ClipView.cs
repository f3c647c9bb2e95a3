using System.Buffers;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Training.Options;

/// <summary>
/// A fixed way of looking at a clip other than as it is. Nothing is random, so that features of a view can be cached. Pictures are changed
/// after they were resized for the network, in this order: contrast and brightness, v → brightness·(128 + contrast·(v − 128)), rounded and
/// limited to 0–255; then one bilinear resampling for mirror, rotation and enlargement about the centre.
/// </summary>
public sealed record ClipView
{
    /// <summary>For people, and part of the key under which features are cached: a recipe that changes gets another name.</summary>
    public required string Name { get; init; }

    /// <summary>Left and right change places.</summary>
    public bool Mirror { get; init; }

    public double Brightness { get; init; } = 1;

    public double Contrast { get; init; } = 1;

    /// <summary>Sine of the angle by which the picture is turned clockwise.</summary>
    public double Sine { get; init; }

    /// <summary>Enlargement; what leaves the picture is cropped.</summary>
    public double Zoom { get; init; } = 1;

    /// <summary>Which frames are sampled.</summary>
    public FrameTiming Timing { get; init; }

    /// <summary>All views by their numbers; 0 is the clip as it is. Those of test-time augmentation come first.</summary>
    public static IReadOnlyList<ClipView> All { get; } =
    [
        new() { Name = "as it is" },
        new() { Name = "mirrored", Mirror = true },
        new() { Name = "brightness 1.2", Brightness = 1.2 },
        new() { Name = "brightness 0.8", Brightness = 0.8 },
        new() { Name = "contrast 1.25", Contrast = 1.25 },
        new() { Name = "contrast 0.8", Contrast = 0.8 },
        new() { Name = "half a step later", Timing = FrameTiming.Later },
        new() { Name = "half a step earlier", Timing = FrameTiming.Earlier },
        new() { Name = "slower: middle 80 %", Timing = FrameTiming.Slower },
        new() { Name = "turned right (sine 0.1), enlarged 1.12", Sine = 0.1, Zoom = 1.12 },
        new() { Name = "turned left (sine 0.1), enlarged 1.12", Sine = -0.1, Zoom = 1.12 },
        new() { Name = "mirrored, enlarged 1.2", Mirror = true, Zoom = 1.2 },
    ];

    /// <summary>How many <see cref="All"/> has.</summary>
    public const int Count = 12;

    /// <summary>Of <see cref="All"/>, how many test-time augmentation takes: no view in which the picture is cut.</summary>
    public const int ForPrediction = 8;

    public bool ChangesPictures => Mirror || Brightness != 1 || Contrast != 1 || Sine != 0 || Zoom != 1;

    /// <summary>Where the features of a view are kept: those of view 0 in the folder itself, others in a folder in it.</summary>
    public static string FolderOf(string directory, int view) => view == 0 ? directory : Path.Combine(directory, $"view-{view}");

    /// <summary>Changes pictures in place.</summary>
    /// <param name="frames">[n, height, width, 3].</param>
    public void Apply(Span<byte> frames, int width, int height)
    {
        if (Brightness != 1 || Contrast != 1)
        {
            Span<byte> curve = stackalloc byte[256];
            for (int v = 0; v < curve.Length; v++)
            {
                curve[v] = (byte)Math.Clamp(Math.Floor((Brightness * (128 + (Contrast * (v - 128)))) + 0.5), 0, 255);
            }

            foreach (ref byte value in frames)
            {
                value = curve[value];
            }
        }

        if (!Mirror && Sine == 0 && Zoom == 1)
        {
            return;
        }

        int bytes = width * height * 3;
        byte[] copy = ArrayPool<byte>.Shared.Rent(bytes);
        for (int start = 0; start < frames.Length; start += bytes)
        {
            Span<byte> frame = frames.Slice(start, bytes);
            frame.CopyTo(copy);
            Resample(copy, frame, width, height);
        }

        ArrayPool<byte>.Shared.Return(copy);
    }

    private void Resample(ReadOnlySpan<byte> source, Span<byte> target, int width, int height)
    {
        double centreX = (width - 1) / 2.0, centreY = (height - 1) / 2.0, cosine = Math.Sqrt(1 - (Sine * Sine)) / Zoom, sine = Sine / Zoom;
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                double dx = (Mirror ? width - 1 - x : x) - centreX, dy = y - centreY;
                double fromX = Math.Clamp(centreX + (cosine * dx) + (sine * dy), 0, width - 1),
                    fromY = Math.Clamp(centreY - (sine * dx) + (cosine * dy), 0, height - 1);
                int left = (int)fromX, top = (int)fromY, right = Math.Min(left + 1, width - 1), bottom = Math.Min(top + 1, height - 1);
                double shareX = fromX - left, shareY = fromY - top;
                for (int c = 0; c < 3; c++)
                {
                    double above = Between(source[Index(left, top)], source[Index(right, top)], shareX),
                        below = Between(source[Index(left, bottom)], source[Index(right, bottom)], shareX);
                    target[Index(x, y)] = (byte)(Between(above, below, shareY) + 0.5);

                    int Index(int column, int row) => (((row * width) + column) * 3) + c;
                }
            }
        }

        static double Between(double a, double b, double share) => a + (share * (b - a));
    }
}
