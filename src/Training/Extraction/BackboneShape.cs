namespace CudaTrainer.Training.Extraction;

/// <summary>What a backbone takes and gives.</summary>
/// <param name="Width">Of the frames it takes, in pixels.</param>
/// <param name="Height">Of the frames it takes, in pixels.</param>
/// <param name="Features">D: numbers that it gives for a frame.</param>
public readonly record struct BackboneShape(int Width, int Height, int Features)
{
    /// <summary>Whether features of a frame depend on the other frames of its clip, so that it takes whole clips.</summary>
    public bool TakesClips { get; init; }

    public static BackboneShape Vgg19 { get; } =
        new(Engine.Nn.Vgg19.ImageSize, Engine.Nn.Vgg19.ImageSize, Engine.Nn.Vgg19.Features);

    /// <summary>Of one frame, in RGB.</summary>
    internal int FrameBytes => Width * Height * 3;
}
