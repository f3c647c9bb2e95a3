using System.Diagnostics;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Extraction;

/// <param name="Frames">Frames per clip.</param>
/// <param name="Workers">Decoding threads.</param>
/// <param name="TimeLimit">Wall-clock limit per file.</param>
/// <param name="Stream">What becomes features.</param>
/// <param name="Trace">Where decoding, copying and waiting are recorded, if given.</param>
public sealed record ExtractorOptions(int Frames, int Workers, TimeSpan TimeLimit, FeatureStream Stream = FeatureStream.Rgb,
    TraceRecorder? Trace = null)
{
    /// <summary>How clips are looked at.</summary>
    public ClipView View { get; init; } = ClipView.All[0];

    /// <summary>What the backbone takes and gives.</summary>
    public BackboneShape Shape { get; init; } = BackboneShape.Vgg19;

    /// <summary>Whether a clip whose file has another content than it was found with counts as unreadable.</summary>
    public bool VerifiesContent { get; init; }
}

/// <param name="Videos">Done so far, failures included.</param>
public readonly record struct ExtractionProgress(int Videos, int Total, int Failures, double FramesPerSecond, TimeSpan Remaining);

/// <summary>A clip's features, or why there are none.</summary>
/// <param name="rgb">[frames, D of the backbone]; empty if they are not wanted, or after a failure. Valid during the call only.</param>
/// <param name="motion">[frames, 231]; likewise.</param>
/// <param name="reason">Of a failure; without one what is worth knowing, empty if nothing is.</param>
/// <param name="info">What decoding showed; after a failure as far as it got.</param>
public delegate void ClipFeatures(Clip clip, ReadOnlySpan<float> rgb, ReadOnlySpan<float> motion, VideoFault fault, string reason,
    VideoInfo info);

/// <summary>
/// Turns clips into features: several threads decode while the device runs the frames of several clips through the backbone as one batch.
/// </summary>
/// <param name="backbone">From frames [n, height, width, 3] UInt8 to features [n, D] as <see cref="ExtractorOptions.Shape"/> says, which it
/// overwrites: <see cref="IFrameNetwork.Forward"/>. Null for motion alone, which the decoding threads compute.</param>
public sealed class FeatureExtractor(IDevice device, Action<Tensor, Tensor>? backbone, ExtractorOptions options)
{
    private const string Stage = "extract";

    internal const string NoMotion = "has no two successive frames of one scene: its motion is zeros";

    /// <summary>Frames in a batch: enough that reading fc1's and fc2's weights is shared by many, few enough for little memory.</summary>
    private const int FramesPerBatch = 60;

    /// <summary>Runs all clips through the backbone.</summary>
    /// <param name="deliver">Called once per clip, in no particular order.</param>
    /// <param name="progress">Called after each batch and failure.</param>
    /// <exception cref="VideoException">No video at all can be read here: there is no FFmpeg.</exception>
    /// <exception cref="OperationCanceledException">Stopped; what was delivered stays delivered.</exception>
    public void Run(IReadOnlyList<Clip> clips, ClipFeatures deliver, Action<ExtractionProgress>? progress = null,
        CancellationToken stop = default)
    {
        if (backbone is null)
        {
            RunWithoutBackbone(clips, deliver, progress, stop);
            return;
        }

        int clipsPerBatch = Math.Max(1, FramesPerBatch / options.Frames);
        bool hasMotion = options.Stream.HasMotion();
        BackboneShape shape = options.Shape;
        using var decoder = new ClipDecoder(clips, options.Frames, options.Workers, clipsPerBatch + options.Workers, options.TimeLimit,
            options.View, stop, options.Stream, options.Trace, options.VerifiesContent, shape);
        using Tensor rgb = Tensor.Allocate(device, [clipsPerBatch * options.Frames, shape.Height, shape.Width, 3], DType.UInt8, "frames");
        using Tensor features = Tensor.Allocate(device, [clipsPerBatch * options.Frames, shape.Features], name: "features");
        float[] host = new float[features.Count];
        List<Clip> batch = [];
        List<(string Remark, VideoInfo Info)> notes = [];
        float[] motion = hasMotion ? new float[clipsPerBatch * options.Frames * MotionFeatures.PerStep] : [];
        int done = 0, failures = 0, computed = 0;
        TraceTrack? track = options.Trace?.Track(Stage, $"feeding {device.Name}");
        long began = Stopwatch.GetTimestamp(), since = began;
        while (decoder.Next() is { } decoded)
        {
            track?.Add("waiting for frames", SpanKind.Wait, since);
            stop.ThrowIfCancellationRequested();
            if (decoded.Fault != VideoFault.None)
            {
                deliver(decoded.Clip, default, default, decoded.Fault, decoded.Reason, decoded.Info);
                failures++;
                done++;
                Report();
            }
            else
            {
                since = Stopwatch.GetTimestamp();
                device.Upload(decoded.Frames, rgb.Data + (nint)((long)batch.Count * options.Frames * shape.FrameBytes));
                track?.Add("copy to the device", SpanKind.Copy, since);
                decoded.Motion.CopyTo(motion, batch.Count * decoded.Motion.Length);
                notes.Add((hasMotion && decoded.Info.MotionPairs == 0 ? NoMotion : string.Empty, decoded.Info));
                batch.Add(decoded.Clip);
            }

            decoder.Return(decoded);
            if (batch.Count == clipsPerBatch)
            {
                Compute();
            }

            since = Stopwatch.GetTimestamp();
        }

        if (batch.Count > 0)
        {
            Compute();
        }

        track?.Add("extraction", SpanKind.Whole, began);

        void Compute()
        {
            int frames = batch.Count * options.Frames;
            bool isFull = batch.Count == clipsPerBatch;
            Tensor output = isFull ? features : features.Slice(0, frames);
            backbone(isFull ? rgb : rgb.Slice(0, frames), output);
            since = Stopwatch.GetTimestamp();
            output.Download(host.AsSpan(0, frames * shape.Features));
            int rgbLength = options.Frames * shape.Features, motionLength = hasMotion ? options.Frames * MotionFeatures.PerStep : 0;
            for (int i = 0; i < batch.Count; i++)
            {
                deliver(batch[i], host.AsSpan(i * rgbLength, rgbLength), motion.AsSpan(i * motionLength, motionLength), VideoFault.None,
                    notes[i].Remark, notes[i].Info);
            }

            track?.Add("store features", SpanKind.Copy, since);

            done += batch.Count;
            computed += frames;
            batch.Clear();
            notes.Clear();
            Report();
        }

        void Report() => progress?.Invoke(ProgressOf(done, clips.Count, failures, computed, began));
    }

    private void RunWithoutBackbone(IReadOnlyList<Clip> clips, ClipFeatures deliver, Action<ExtractionProgress>? progress,
        CancellationToken stop)
    {
        using var decoder = new ClipDecoder(clips, options.Frames, options.Workers, options.Workers, options.TimeLimit, options.View, stop,
            FeatureStream.Motion, options.Trace, options.VerifiesContent);
        int done = 0, failures = 0;
        long began = Stopwatch.GetTimestamp();
        while (decoder.Next() is { } decoded)
        {
            stop.ThrowIfCancellationRequested();
            bool isWhole = decoded.Fault == VideoFault.None;
            deliver(decoded.Clip, default, isWhole ? decoded.Motion : default, decoded.Fault,
                isWhole && decoded.Info.MotionPairs == 0 ? NoMotion : decoded.Reason, decoded.Info);
            decoder.Return(decoded);
            failures += isWhole ? 0 : 1;
            done++;
            progress?.Invoke(ProgressOf(done, clips.Count, failures, (done - failures) * options.Frames, began));
        }
    }

    private static ExtractionProgress ProgressOf(int done, int total, int failures, int computed, long began)
    {
        double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        return new ExtractionProgress(done, total, failures, computed / seconds, TimeSpan.FromSeconds(seconds / done * (total - done)));
    }
}
