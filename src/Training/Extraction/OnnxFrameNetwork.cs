using System.Runtime.InteropServices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Training.Extraction;

/// <summary>An ONNX backbone for the frames of one device: they come to the host, and their features go back.</summary>
/// <param name="framesPerClip">Sampled from each clip.</param>
/// <param name="session">Of this network alone; null to share the backbone's.</param>
internal sealed class OnnxFrameNetwork(OnnxBackbone backbone, int framesPerClip, IOnnxSession? session) : IFrameNetwork
{
    private readonly byte[] _numbers = new byte[backbone.BatchBytes];

    public LapClock? Laps { get; set; }

    /// <summary>Where ONNX Runtime computes although the device is a GPU; null for other devices.</summary>
    public string? Place => session is null ? null : $"the backbone runs in ONNX Runtime on {session.Place}";

    public void Forward(Tensor rgb, Tensor features)
    {
        Laps?.Begin();
        int frames = rgb.Shape[0], frameBytes = backbone.Shape.FrameBytes, width = backbone.Shape.Features;
        byte[] pixels = rgb.Read<byte>();
        float[] values = new float[frames * width];
        foreach (Segment[] batch in Segments(frames, framesPerClip, backbone.Input.Clip).Chunk(backbone.Batch))
        {
            // Places behind the last segment keep what was there: it is computed and thrown away.
            for (int i = 0; i < batch.Length; i++)
            {
                for (int place = 0; place < batch[i].Frames.Length; place++)
                {
                    Fill(pixels.AsSpan(batch[i].Frames[place] * frameBytes, frameBytes), i, place);
                }
            }

            Laps?.Lap("normalise");
            float[] computed = backbone.Run(_numbers, session);
            for (int i = 0; i < batch.Length; i++)
            {
                for (int frame = batch[i].First; frame < batch[i].Past; frame++)
                {
                    computed.AsSpan(i * width, width).CopyTo(values.AsSpan(frame * width));
                }
            }

            Laps?.Lap("network");
        }

        features.Write((ReadOnlySpan<float>)values);
        Laps?.Collect();
    }

    public void Dispose() => session?.Dispose();

    /// <summary>
    /// For an image network each frame. For a video network the segments that follow each other in each clip, of which the last ends with
    /// the clip; a clip that is shorter than a segment begins again.
    /// </summary>
    /// <param name="frames">Of all clips.</param>
    /// <param name="length">Of a segment; 0 for an image network.</param>
    internal static IEnumerable<Segment> Segments(int frames, int framesPerClip, int length)
    {
        if (length == 0)
        {
            return Enumerable.Range(0, frames).Select(frame => new Segment([frame], frame, frame + 1));
        }

        return from clip in Enumerable.Range(0, frames / framesPerClip)
               from segment in Enumerable.Range(0, (framesPerClip + length - 1) / length)
               let first = segment * length
               let start = Math.Max(0, Math.Min(first, framesPerClip - length))
               let origin = clip * framesPerClip
               select new Segment(
                   [.. Enumerable.Range(start, length).Select(frame => origin + (frame % framesPerClip))],
                   origin + first, origin + Math.Min(framesPerClip, first + length));
    }

    private void Fill(ReadOnlySpan<byte> frame, int segment, int place)
    {
        int length = frame.Length * Math.Max(1, backbone.Input.Clip);
        if (backbone.Input.IsBytes)
        {
            backbone.Input.Fill(frame, _numbers.AsSpan(segment * length, length), place);
        }
        else
        {
            backbone.Input.Fill(frame, MemoryMarshal.Cast<byte, float>(_numbers.AsSpan()).Slice(segment * length, length), place);
        }
    }

    /// <param name="Frames">That the network sees.</param>
    /// <param name="First">Of the frames that get its features.</param>
    /// <param name="Past">Behind the last of them.</param>
    internal readonly record struct Segment(int[] Frames, int First, int Past);
}
