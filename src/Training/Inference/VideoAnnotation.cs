using System.Globalization;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Formats;

namespace CudaTrainer.Training.Inference;

/// <summary>
/// Copies a video with the probability drawn into its frames: a bar at the bottom that is as long as p(violent) is high, with a mark at the
/// threshold; the number in a corner; and a red edge during an event. Of other classes it is the probability of the class that the moment
/// is called, whose name stands beside the number; mark and red edge are those of classes with a threshold.
/// </summary>
internal static class VideoAnnotation
{
    /// <summary>Seconds: a frame at the border of two windows belongs to the later.</summary>
    private const double RoundingOfTimes = 1e-3;

    private static readonly (byte R, byte G, byte B) Red = (220, 40, 40), Green = (60, 170, 80), Dark = (24, 24, 24),
        White = (255, 255, 255);

    /// <summary>
    /// Writes <paramref name="target"/> with the source's frames, their times and its size as displayed; without its sound.
    /// </summary>
    /// <param name="prediction">With windows and events; at least one window.</param>
    /// <exception cref="RunException">The video cannot be written so.</exception>
    public static void Write(Prediction prediction, string target, TimeSpan timeLimit, Action<double> progress, CancellationToken stop)
    {
        using var stream = new VideoFrameReader(prediction.Path, new VideoFrameOptions { Ahead = 4, TimeLimit = timeLimit }, stop);
        VideoWriter? writer = null;
        try
        {
            int window = 0;
            while (stream.Next() is { } frame)
            {
                stop.ThrowIfCancellationRequested();
                writer ??= new VideoWriter(target,
                    new VideoWriterOptions
                    {
                        Width = stream.Size.Width,
                        Height = stream.Size.Height,
                        FrameRate = RateFor(stream.Rate),
                        HasTimes = true,
                        Codec = CodecFor(target, stream.Size),
                    });
                double time = frame.Seconds + RoundingOfTimes;
                while (window + 1 < prediction.Windows!.Count && time >= Timeline.Boundary(prediction.Windows, window + 1))
                {
                    window++;
                }

                ViolenceEvent? happening = prediction.Events!.FirstOrDefault(one => time >= one.Start && time < one.End);
                Draw(new FramePainter(frame.Rgb, stream.Size.Width, stream.Size.Height), stream.Size,
                    MomentOf(prediction, prediction.Windows[window], happening));
                writer.AddFrame(frame.Rgb, frame.Seconds);
                stream.Return(frame);
                progress(time);
            }

            writer?.Close();
        }
        catch (VideoException exception)
        {
            throw new RunException(exception.Message,
                $"Choose another name for {SettingName.Of(nameof(PredictionOptions.Annotate))}: .mp4, .mkv, .mov, .avi or .webm in a " +
                    "folder that exists.", exception);
        }
        finally
        {
            writer?.Dispose();
        }
    }

    private static Moment MomentOf(Prediction prediction, WindowScore window, ViolenceEvent? happening)
    {
        string number = window.Smoothed.ToString("0.00", CultureInfo.InvariantCulture);
        if (window.Probabilities is not { } classes)
        {
            return new Moment(window.Smoothed, prediction.Threshold, number, happening is not null);
        }

        if (happening?.Label is not { } label)
        {
            return new Moment(window.Smoothed, null, number, IsEvent: false);
        }

        double? threshold = prediction.Thresholds is { } all && all.TryGetValue(label, out double own) ? own : null;
        return new Moment(classes[label], threshold,
            FramePainter.Drawable($"{label} {classes[label].ToString("0.00", CultureInfo.InvariantCulture)}"), threshold is not null);
    }

    private static void Draw(FramePainter painter, (int Width, int Height) size, Moment moment)
    {
        (double probability, double? threshold, string text, bool isEvent) = moment;
        if (isEvent)
        {
            painter.Border(Math.Max(2, size.Height / 90), Red);
        }

        int bar = Math.Max(6, size.Height / 20), top = size.Height - bar;
        painter.Fill(0, top, size.Width, bar, Dark);
        painter.Fill(0, top, (int)Math.Round(probability * size.Width), bar, isEvent ? Red : Green);
        if (threshold is { } least)
        {
            painter.Fill((int)Math.Round(least * size.Width) - 1, top, 2, bar, White);
        }

        int edge = Math.Max(2, size.Height / 90);
        int scale = Math.Max(1, Math.Min(size.Height / 90, (size.Width - (2 * edge)) / (FramePainter.TextWidth(text, 1) + 4)));
        int margin = 2 * scale;
        painter.Fill(edge, edge, FramePainter.TextWidth(text, scale) + (2 * margin), (FramePainter.DigitHeight * scale) + (2 * margin),
            Dark);
        painter.Text(edge + margin, edge + margin, text, scale, White);
    }

    /// <summary>What is drawn into a frame.</summary>
    /// <param name="Threshold">Of what is called; null where it has none.</param>
    /// <param name="Text">In signs that can be drawn.</param>
    /// <param name="IsEvent">Whether something with a threshold is called.</param>
    private readonly record struct Moment(double Probability, double? Threshold, string Text, bool IsEvent);

    /// <summary>What a container claims may be the resolution of its clock.</summary>
    private static FrameRate RateFor(FrameRate claimed) =>
        claimed.Numerator > 0 && (double)claimed.Numerator / claimed.Denominator is >= 1 and <= 120 ? claimed : new FrameRate(30);

    /// <summary>H.264 has no pictures of odd size.</summary>
    private static VideoCodec CodecFor(string target, (int Width, int Height) size) => Path.GetExtension(target).ToLowerInvariant() switch
    {
        ".webm" => VideoWriter.CanEncode(VideoCodec.Vp9) ? VideoCodec.Vp9 : VideoCodec.Vp8,
        _ => VideoWriter.CanEncode(VideoCodec.H264) && size.Width % 2 == 0 && size.Height % 2 == 0 ? VideoCodec.H264 : VideoCodec.Mpeg4,
    };
}
