namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// The layouts of convolution activations. Images (3 channels): [n][h + 2][w + 2][3] with a border of zeros, as
/// <see cref="NormalizeImage"/> writes it. Everything else: [n][channels/16][h][w][16], the last block filled up with zeros.
/// </summary>
/// <remarks>
/// Sixteen channels are one cache line and one AVX-512 vector, so every transform is a plain vector operation over channels at every
/// SIMD level, and the layout does not depend on the level.
/// </remarks>
internal static class ConvLayout
{
    /// <summary>Channels that lie together.</summary>
    public const int ChannelBlock = 16;

    /// <summary>Channels of the image layout.</summary>
    public const int ImageChannels = 3;

    /// <summary>Readable floats behind the last image: register tiles may read, never use, up to three pixels too many.</summary>
    private const int ImageSlack = 16;

    /// <summary>Floats of a buffer for [n, channels, height, width].</summary>
    public static nint ElementCount(int n, int channels, int height, int width) => channels == ImageChannels
        ? ((nint)n * (height + 2) * (width + 2) * ImageChannels) + ImageSlack
        : (nint)n * Blocks(channels) * height * width * ChannelBlock;

    internal static int Blocks(int channels) => (channels + ChannelBlock - 1) / ChannelBlock;
}
