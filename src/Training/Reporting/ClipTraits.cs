using System.Globalization;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Training.Reporting;

/// <summary>What can be measured of a clip that makes it hard to judge. It says what is difficult, not why a model was wrong.</summary>
/// <param name="Brightness">Mean luma (ITU-R BT.601) of the sampled frames, 0 to 1.</param>
/// <param name="Contrast">Standard deviation of the luma within a frame, mean over the frames.</param>
/// <param name="Moving">Share of pixels whose luma differs by more than <see cref="VisibleChange"/> between two successive samples, mean
/// over the pairs; NaN with one frame.</param>
/// <param name="Rows">Of the video as displayed.</param>
/// <param name="Columns">Likewise.</param>
/// <param name="Frames">That decode.</param>
/// <param name="Seconds">0 where the container does not say.</param>
internal sealed record ClipTraits(double Brightness, double Contrast, double Moving, int Rows, int Columns, long Frames, double Seconds)
{
    public const double Dark = 0.2, Flat = 0.1, Still = 0.02, VisibleChange = 0.06, Brief = 1;

    public const int SmallRows = 240;

    /// <param name="rgb">[samples, pixels, 3].</param>
    public static ClipTraits Of(ReadOnlySpan<byte> rgb, int samples, in VideoInfo info)
    {
        int pixels = rgb.Length / 3 / samples;
        float[] luma = new float[samples * pixels];
        for (int i = 0; i < luma.Length; i++)
        {
            luma[i] = ((0.299f * rgb[3 * i]) + (0.587f * rgb[(3 * i) + 1]) + (0.114f * rgb[(3 * i) + 2])) / 255;
        }

        double brightness = 0, contrast = 0, moving = 0;
        for (int frame = 0; frame < samples; frame++)
        {
            ReadOnlySpan<float> now = luma.AsSpan(frame * pixels, pixels);
            double sum = 0, squares = 0;
            int changed = 0;
            for (int i = 0; i < pixels; i++)
            {
                sum += now[i];
                squares += now[i] * now[i];
                changed += frame > 0 && Math.Abs(now[i] - luma[((frame - 1) * pixels) + i]) > VisibleChange ? 1 : 0;
            }

            double mean = sum / pixels;
            brightness += mean / samples;
            contrast += Math.Sqrt(Math.Max(0, (squares / pixels) - (mean * mean))) / samples;
            moving += (double)changed / pixels;
        }

        return new ClipTraits(brightness, contrast, samples > 1 ? moving / (samples - 1) : double.NaN, info.Height, info.Width,
            info.DecodedFrames, info.Duration.TotalSeconds);
    }

    /// <summary>Reason codes with the number behind each.</summary>
    /// <param name="samples">Frames that a model takes of a clip.</param>
    public IReadOnlyList<string> Reasons(int samples)
    {
        List<string> reasons = [];
        if (Brightness < Dark)
        {
            reasons.Add($"dark (mean brightness {Percent(Brightness)})");
        }

        if (Contrast < Flat)
        {
            reasons.Add($"low contrast (deviation {Percent(Contrast)})");
        }

        if (Moving < Still)
        {
            reasons.Add($"few moving pixels ({Percent(Moving)} from frame to frame)");
        }

        if (Rows < SmallRows)
        {
            reasons.Add($"small picture ({Columns} × {Rows})");
        }

        if (Frames < samples)
        {
            reasons.Add($"few frames ({Frames} for {samples} samples)");
        }
        else if (Seconds is > 0 and < Brief)
        {
            reasons.Add($"brief ({Seconds.ToString("0.0", CultureInfo.InvariantCulture)} s)");
        }

        return reasons;
    }

    private static string Percent(double share) => (100 * share).ToString("0.0", CultureInfo.InvariantCulture) + " %";
}
