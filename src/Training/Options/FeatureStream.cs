using System.Text.Json.Serialization;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Training.Extraction;

/// <summary>What of a video becomes features.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FeatureStream>))]
public enum FeatureStream
{
    /// <summary>What is seen: VGG19's features of sampled frames.</summary>
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

    /// <summary>Features per frame.</summary>
    public static int Dimension(this FeatureStream stream) => (stream.HasRgb() ? Vgg19.Features : 0)
        + (stream.HasMotion() ? MotionFeatures.PerStep : 0);

    /// <summary>Puts the appearance and the motion of a clip side by side, frame by frame.</summary>
    /// <param name="rgb">[frames, 4096].</param>
    /// <param name="motion">[frames, 348].</param>
    /// <param name="both">[frames, 4444].</param>
    public static void Join(ReadOnlySpan<float> rgb, ReadOnlySpan<float> motion, Span<float> both)
    {
        for (int t = 0; t * Vgg19.Features < rgb.Length; t++)
        {
            Span<float> frame = both.Slice(t * FeatureStream.Both.Dimension(), FeatureStream.Both.Dimension());
            rgb.Slice(t * Vgg19.Features, Vgg19.Features).CopyTo(frame);
            motion.Slice(t * MotionFeatures.PerStep, MotionFeatures.PerStep).CopyTo(frame[Vgg19.Features..]);
        }
    }

    /// <summary>The reverse of <see cref="Join"/>.</summary>
    public static void Separate(ReadOnlySpan<float> both, Span<float> rgb, Span<float> motion)
    {
        for (int t = 0; t * Vgg19.Features < rgb.Length; t++)
        {
            ReadOnlySpan<float> frame = both.Slice(t * FeatureStream.Both.Dimension(), FeatureStream.Both.Dimension());
            frame[..Vgg19.Features].CopyTo(rgb[(t * Vgg19.Features)..]);
            frame[Vgg19.Features..].CopyTo(motion[(t * MotionFeatures.PerStep)..]);
        }
    }
}
