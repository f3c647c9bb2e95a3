using System.Text.Json.Serialization;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Training.Options;

/// <summary>What of a video becomes features.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FeatureStream>))]
public enum FeatureStream
{
    /// <summary>What is seen: a backbone's features of sampled frames.</summary>
    Rgb,

    /// <summary>What moves: <see cref="MotionFeatures"/> of as many intervals of time. Needs no backbone.</summary>
    Motion,

    /// <summary>Of each frame its appearance, then the motion of its interval.</summary>
    Both,
}

public static class FeatureStreams
{
    public static bool HasRgb(this FeatureStream stream) => stream != FeatureStream.Motion;

    public static bool HasMotion(this FeatureStream stream) => stream != FeatureStream.Rgb;

    /// <summary>
    /// What features are of that were made so (<see cref="Data.Cache.FeatureKey.Fields"/>); rgb where nothing records it.
    /// </summary>
    public static FeatureStream Of(IReadOnlyList<KeyValuePair<string, string>> key)
    {
        string backbone = key.FirstOrDefault(field => field.Key == "backbone").Value ?? string.Empty;
        return backbone == MotionFeatures.Identity ? FeatureStream.Motion
            : backbone.EndsWith(MotionFeatures.Identity, StringComparison.Ordinal) ? FeatureStream.Both
            : FeatureStream.Rgb;
    }

    /// <summary>Features per frame.</summary>
    /// <param name="appearance">Those of the backbone.</param>
    public static int Dimension(this FeatureStream stream, int appearance = Vgg19.Features) => (stream.HasRgb() ? appearance : 0)
        + (stream.HasMotion() ? MotionFeatures.PerStep : 0);

    /// <summary>Whether so many features of a frame can be of the stream, whatever the backbone.</summary>
    internal static bool Fits(this FeatureStream stream, int dimension) => stream switch
    {
        FeatureStream.Motion => dimension == MotionFeatures.PerStep,
        FeatureStream.Both => dimension > MotionFeatures.PerStep,
        _ => true,
    };

    /// <summary>Puts the streams of a clip side by side, frame by frame, as models take them.</summary>
    /// <param name="rgb">[frames, D of the backbone]; empty without.</param>
    /// <param name="motion">[frames, 231]; empty without.</param>
    /// <param name="row">[frames, D] of the streams that are there.</param>
    public static void Join(ReadOnlySpan<float> rgb, ReadOnlySpan<float> motion, Span<float> row)
    {
        if (motion.IsEmpty)
        {
            rgb.CopyTo(row);
            return;
        }

        const int motionWidth = MotionFeatures.PerStep;
        int rgbWidth = rgb.Length / (motion.Length / motionWidth), width = rgbWidth + motionWidth;
        for (int t = 0; t * width < row.Length; t++)
        {
            Span<float> frame = row.Slice(t * width, width);
            rgb.Slice(t * rgbWidth, rgbWidth).CopyTo(frame);
            motion.Slice(t * motionWidth, motionWidth).CopyTo(frame[rgbWidth..]);
        }
    }
}
