using CudaTrainer.Data.Video;

namespace CudaTrainer.Cli.Tests;

/// <summary>Small videos of moving stripes.</summary>
internal static class StripedClip
{
    /// <param name="stripe">How narrow the stripes are: clips of other stripes have another content.</param>
    public static void Write(string path, int stripe, int frames = 6)
    {
        using VideoWriter writer = new(path, new VideoWriterOptions { Width = 96, Height = 64, Codec = VideoCodec.Mpeg4 });
        byte[] rgb = new byte[writer.FrameBytes];
        for (int frame = 0; frame < frames; frame++)
        {
            for (int i = 0; i < rgb.Length; i++)
            {
                rgb[i] = (byte)(((i / 3 % 96) + (3 * frame)) * stripe);
            }

            writer.AddFrame(rgb);
        }

        writer.Close();
    }
}
