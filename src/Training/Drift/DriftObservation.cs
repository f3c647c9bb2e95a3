using CudaTrainer.Data.Video;

namespace CudaTrainer.Training.Drift;

/// <summary>What one window of a camera's video is like. What is not known stays at its initial value, and is not compared.</summary>
/// <param name="Start">Seconds, of any clock that goes on from window to window.</param>
/// <param name="End">Seconds.</param>
public readonly record struct DriftObservation(double Start, double End)
{
    /// <summary>The class that it is called, by label.</summary>
    public int? Called { get; init; }

    /// <summary>From the clips that the model learned from, in limits: above 1 it is unfamiliar.</summary>
    public double? Distance { get; init; }

    /// <summary>Picture heights a second: <see cref="SpeedOf"/>.</summary>
    public double? Speed { get; init; }

    /// <summary>What its pictures look like.</summary>
    public PictureStatistics? Pictures { get; init; }

    /// <summary>Frames a second; 0 when unknown.</summary>
    public double FrameRate { get; init; }

    /// <summary>Rows of the video as displayed; 0 when unknown.</summary>
    public int Height { get; init; }

    /// <summary>How fast things move: the speed of the flow, averaged over a picture, the camera's motion included.</summary>
    /// <param name="motion">[steps, <see cref="MotionFeatures.PerStep"/>], one step or more.</param>
    /// <returns>Picture heights a second, the geometric mean of the steps.</returns>
    public static double SpeedOf(ReadOnlySpan<float> motion)
    {
        // The first number is log(1 + 20·speed).
        double sum = 0;
        for (int first = 0; first < motion.Length; first += MotionFeatures.PerStep)
        {
            sum += motion[first];
        }

        return (Math.Exp(sum * MotionFeatures.PerStep / motion.Length) - 1) / 20;
    }
}
