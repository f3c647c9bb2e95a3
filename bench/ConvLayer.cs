namespace CudaTrainer.Bench;

/// <summary>A 3×3 convolution of VGG19 with its ReLU.</summary>
/// <param name="Size">Rows and columns of the input.</param>
/// <param name="Pool">Whether 2×2 max pooling is fused behind it.</param>
internal readonly record struct ConvLayer(int InChannels, int OutChannels, int Size, bool Pool)
{
    public const int ImageSize = 224;

    /// <summary>All sixteen, first to last.</summary>
    public static ConvLayer[] Vgg19 { get; } =
    [
        new(3, 64, 224, false), new(64, 64, 224, true),
        new(64, 128, 112, false), new(128, 128, 112, true),
        new(128, 256, 56, false), new(256, 256, 56, false), new(256, 256, 56, false), new(256, 256, 56, true),
        new(256, 512, 28, false), new(512, 512, 28, false), new(512, 512, 28, false), new(512, 512, 28, true),
        new(512, 512, 14, false), new(512, 512, 14, false), new(512, 512, 14, false), new(512, 512, 14, true),
    ];

    public int OutSize => Pool ? Size / 2 : Size;

    /// <summary>Floating-point operations of the definition, per image.</summary>
    public double Operations => 2.0 * 9 * InChannels * OutChannels * Size * Size;

    /// <summary>
    /// Those that remain with Winograd's F(4×4, 3×3): 36 multiply-adds a tile and pair of channels, a quarter. The first layer multiplies
    /// directly.
    /// </summary>
    public double Executed
    {
        get
        {
            double tiles = (Size + 3) / 4;
            return InChannels == 3 ? Operations : 2.0 * 36 * InChannels * OutChannels * tiles * tiles;
        }
    }
}
