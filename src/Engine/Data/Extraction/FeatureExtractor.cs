using System.Diagnostics;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Data.Dataset;
using CudaTrainer.Engine.Data.Video;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Data.Extraction;

/// <param name="Frames">Frames per clip.</param>
/// <param name="Workers">Decoding threads.</param>
/// <param name="TimeLimit">Wall-clock limit per file.</param>
public sealed record ExtractorOptions(int Frames, int Workers, TimeSpan TimeLimit)
{
    /// <summary>How clips are looked at.</summary>
    public ClipView View { get; init; } = ClipView.All[0];
}

/// <param name="Videos">Done so far, failures included.</param>
public readonly record struct ExtractionProgress(int Videos, int Total, int Failures, double FramesPerSecond, TimeSpan Remaining);

/// <summary>A clip's features, or why there are none.</summary>
/// <param name="features">[frames, 4096] of the clip; empty after a failure. Valid during the call only.</param>
public delegate void ClipFeatures(Clip clip, ReadOnlySpan<float> features, VideoFault fault, string reason);

/// <summary>Turns clips into features: several threads decode while the device runs the frames of several clips through the backbone as one batch.</summary>
/// <param name="backbone">From frames [n, 224, 224, 3] UInt8 to features [n, 4096], which it overwrites: <see cref="Vgg19.Forward"/>.</param>
public sealed class FeatureExtractor(IDevice device, Action<Tensor, Tensor> backbone, ExtractorOptions options)
{
    /// <summary>Frames in a batch: enough that reading fc1's and fc2's weights is shared by many, few enough for little memory.</summary>
    private const int FramesPerBatch = 60;

    /// <summary>Runs all clips through the backbone.</summary>
    /// <param name="deliver">Called once per clip, in no particular order.</param>
    /// <param name="progress">Called after each batch and failure.</param>
    /// <exception cref="OperationCanceledException">Stopped; what was delivered stays delivered.</exception>
    public void Run(IReadOnlyList<Clip> clips, ClipFeatures deliver, Action<ExtractionProgress> progress, CancellationToken stop)
    {
        int clipsPerBatch = Math.Max(1, FramesPerBatch / options.Frames);
        long frameBytes = (long)Vgg19.ImageSize * Vgg19.ImageSize * 3;
        using var decoder = new ClipDecoder(clips, options.Frames, options.Workers, clipsPerBatch + options.Workers, options.TimeLimit, options.View, stop);
        using Tensor rgb = Tensor.Allocate(device, [clipsPerBatch * options.Frames, Vgg19.ImageSize, Vgg19.ImageSize, 3], DType.UInt8, "frames");
        using Tensor features = Tensor.Allocate(device, [clipsPerBatch * options.Frames, Vgg19.Features], name: "features");
        float[] host = new float[features.Count];
        List<Clip> batch = [];
        int done = 0, failures = 0, computed = 0;
        long began = Stopwatch.GetTimestamp();
        while (decoder.Next() is { } decoded)
        {
            stop.ThrowIfCancellationRequested();
            if (decoded.Fault != VideoFault.None)
            {
                deliver(decoded.Clip, default, decoded.Fault, decoded.Reason);
                failures++;
                done++;
                Report();
            }
            else
            {
                device.Upload(decoded.Frames, rgb.Data + (nint)(batch.Count * options.Frames * frameBytes));
                batch.Add(decoded.Clip);
            }

            decoder.Return(decoded);
            if (batch.Count == clipsPerBatch)
            {
                Compute();
            }
        }

        if (batch.Count > 0)
        {
            Compute();
        }

        void Compute()
        {
            int frames = batch.Count * options.Frames;
            bool isFull = batch.Count == clipsPerBatch;
            Tensor output = isFull ? features : features.Slice(0, frames);
            backbone(isFull ? rgb : rgb.Slice(0, frames), output);
            output.Download(host.AsSpan(0, frames * Vgg19.Features));
            int rowLength = options.Frames * Vgg19.Features;
            for (int i = 0; i < batch.Count; i++)
            {
                deliver(batch[i], host.AsSpan(i * rowLength, rowLength), VideoFault.None, string.Empty);
            }

            done += batch.Count;
            computed += frames;
            batch.Clear();
            Report();
        }

        void Report()
        {
            double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
            progress(new ExtractionProgress(done, clips.Count, failures, computed / seconds, TimeSpan.FromSeconds(seconds / done * (clips.Count - done))));
        }
    }
}
