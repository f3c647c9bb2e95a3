using System.Runtime.InteropServices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;

namespace CudaTrainer.Training.Extraction;

/// <summary>An ONNX backbone for the frames of one device: they come to the host, and their features go back.</summary>
internal sealed class OnnxFrameNetwork(OnnxBackbone backbone) : IFrameNetwork
{
    private readonly byte[] _numbers = new byte[backbone.BatchBytes];

    public LapClock? Laps { get; set; }

    public void Forward(Tensor rgb, Tensor features)
    {
        Laps?.Begin();
        int frames = rgb.Shape[0], frameBytes = backbone.Shape.FrameBytes, width = backbone.Shape.Features;
        byte[] pixels = rgb.Read<byte>();
        float[] values = new float[frames * width];
        for (int start = 0; start < frames; start += backbone.Batch)
        {
            // Places behind the last frame keep what was there: it is computed and thrown away.
            int count = Math.Min(backbone.Batch, frames - start);
            for (int i = 0; i < count; i++)
            {
                Fill(pixels.AsSpan((start + i) * frameBytes, frameBytes), i * frameBytes);
            }

            Laps?.Lap("normalise");
            backbone.Run(_numbers).AsSpan(0, count * width).CopyTo(values.AsSpan(start * width));
            Laps?.Lap("network");
        }

        features.Write((ReadOnlySpan<float>)values);
        Laps?.Collect();
    }

    /// <summary>The session belongs to the backbone.</summary>
    public void Dispose()
    {
    }

    private void Fill(ReadOnlySpan<byte> frame, int place)
    {
        if (backbone.Input.IsBytes)
        {
            backbone.Input.Fill(frame, _numbers.AsSpan(place, frame.Length));
        }
        else
        {
            backbone.Input.Fill(frame, MemoryMarshal.Cast<byte, float>(_numbers.AsSpan()).Slice(place, frame.Length));
        }
    }
}
