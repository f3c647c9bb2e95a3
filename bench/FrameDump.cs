using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;

namespace CudaTrainer.Bench;

/// <summary>Writes what the network sees of a clip, for comparisons with other programs.</summary>
internal static class FrameDump
{
    /// <param name="clip">A video.</param>
    /// <param name="output">A .npy file [frames, 224, 224, 3], RGB.</param>
    /// <param name="frames">Frames sampled.</param>
    public static void Run(string clip, string output, int frames)
    {
        byte[] rgb = new byte[frames * Vgg19.ImageSize * Vgg19.ImageSize * 3];
        VideoReader.Read(clip, frames, rgb);
        NpyFile.Write<byte>(output, rgb, frames, Vgg19.ImageSize, Vgg19.ImageSize, 3);
    }
}
