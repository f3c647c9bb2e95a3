using System.Numerics;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Synthetic;

/// <summary>Everything that decides the pixels of one clip.</summary>
internal sealed record ClipPlan(int Number, Scene Scene, Activity Activity, int Frames, VideoWriterOptions Video, ulong Seed)
{
    public string Path { get; init; } = "";
}

/// <summary>Draws a planned clip and writes it.</summary>
internal static class ClipRenderer
{
    public static DemoClip Render(ClipPlan plan, CancellationToken cancellationToken)
    {
        using var writer = new VideoWriter(plan.Path, plan.Video);
        byte[] stored = new byte[writer.FrameBytes];
        foreach (Canvas picture in Pictures(plan))
        {
            cancellationToken.ThrowIfCancellationRequested();
            Turn(picture, plan.Video, stored);
            writer.AddFrame(stored);
        }

        writer.Close();
        return new DemoClip(plan.Path, plan.Activity.IsViolent, plan.Activity.Name, plan.Scene.Name, plan.Frames);
    }

    /// <summary>The frames as they are to be seen; one canvas, drawn anew for each.</summary>
    public static IEnumerable<Canvas> Pictures(ClipPlan plan)
    {
        var random = new Draws(plan.Seed);
        bool isTurned = plan.Video.RotationDegrees % 180 != 0;
        int width = isTurned ? plan.Video.Height : plan.Video.Width;
        int height = isTurned ? plan.Video.Width : plan.Video.Height;
        FrameRate rate = plan.Video.FrameRate;
        float secondsPerFrame = (float)rate.Denominator / rate.Numerator;
        var camera = new Camera(plan.Frames * secondsPerFrame, ref random);
        Canvas backdrop = plan.Scene.Backdrop(width, height);
        var picture = new Canvas(width, height);

        // People fill much of the picture, and both fit into a narrow one.
        float scale = MathF.Min(height * random.Between(0.74f, 0.82f), width * random.Between(0.7f, 0.78f));
        float groundLine = MathF.Max(plan.Scene.Horizon + 0.12f, random.Between(0.86f, 0.94f)) * height;
        float middle = width * random.Between(0.46f, 0.54f);
        for (int frame = 0; frame < plan.Frames; frame++)
        {
            float seconds = frame * secondsPerFrame;
            (float cornerX, float cornerY) = camera.Corner(seconds, width, height);
            Camera.Look(backdrop, cornerX, cornerY, picture);
            var ground = new Vector2(
                middle + (Scene.Margin * width) - cornerX, groundLine + (Scene.Margin * height) - cornerY);
            (Pose first, Pose second) = plan.Activity.At(seconds);
            plan.Scene.First.Draw(picture, first, ground - new Vector2(0, 0.02f * scale), scale);
            plan.Scene.Second.Draw(picture, second, ground, scale);
            camera.Expose(picture, seconds, plan.Scene.IsGrey, ref random);
            yield return picture;
        }
    }

    /// <summary>Lays an upright picture the way the file stores it: turned back by what the metadata will turn it.</summary>
    private static void Turn(Canvas picture, VideoWriterOptions video, Span<byte> stored)
    {
        Span<byte> source = picture.Pixels.AsSpan();
        if (video.RotationDegrees == 0)
        {
            source.CopyTo(stored);
            return;
        }

        for (int y = 0; y < video.Height; y++)
        {
            for (int x = 0; x < video.Width; x++)
            {
                (int u, int v) = video.RotationDegrees switch
                {
                    90 => (picture.Width - 1 - y, x),
                    180 => (picture.Width - 1 - x, picture.Height - 1 - y),
                    _ => (y, picture.Height - 1 - x),
                };
                source.Slice(((v * picture.Width) + u) * 3, 3).CopyTo(stored[(((y * video.Width) + x) * 3)..]);
            }
        }
    }
}
