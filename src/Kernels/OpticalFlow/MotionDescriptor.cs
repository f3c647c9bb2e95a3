using System.Runtime.Intrinsics;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>What a pair of successive pictures turned out to be.</summary>
internal enum PicturePair
{
    Whole,

    /// <summary>Of its scene: no flow goes before, and the numbers that compare with it are NaN.</summary>
    First,

    /// <summary>Two different scenes: nothing was written.</summary>
    Cut,
}

/// <summary>
/// <see cref="Features"/> numbers of what moves between successive grey pictures; docs/motion.md lists them in order. Speeds are in picture
/// heights a second, so that size and rate do not matter; differences in grey levels. Places are never told: cells are sorted, centres are
/// not given, left and right count alike.
/// </summary>
/// <remarks>The same bits at every SIMD level. Memory is taken once; one thread at a time.</remarks>
internal abstract class MotionDescriptor
{
    /// <summary>Of a pair: <see cref="FlowFeatures"/>, then <see cref="CorrelationFeatures"/>.</summary>
    public const int Features = FlowFeatures + CorrelationFeatures;

    /// <summary>What moves how fast, and what changes; the last of them how the flow itself changed since the pair before.</summary>
    public const int FlowFeatures = 174;

    /// <summary>How alike the flow is at different places and times.</summary>
    public const int CorrelationFeatures = 57;

    private protected const int AccelerationFeatures = 17;

    /// <summary>Of a picture; its columns follow the aspect ratio.</summary>
    public const int Rows = 112;

    private const int LeastColumns = 32;
    private const int MostColumns = 448;

    private protected MotionDescriptor(int columns, double aspect) => (Columns, PixelWidth) = (columns, (float)(aspect / (columns / 2)));

    /// <summary>Of a picture.</summary>
    public int Columns { get; }

    /// <summary>Of the flow, which has half the picture's rows and columns, in picture heights.</summary>
    private protected float PixelWidth { get; }

    /// <summary>Columns of the picture of something this wide and high: a multiple of 8.</summary>
    public static int ColumnsOf(int width, int height)
    {
        double eighths = (double)Rows * width / height / 8;
        return eighths < MostColumns ? Math.Clamp(8 * (int)(eighths + 0.5), LeastColumns, MostColumns) : MostColumns;
    }

    /// <param name="width">Of what the pictures show, in any unit.</param>
    /// <param name="height">Likewise.</param>
    /// <param name="level">The process-wide choice if null.</param>
    public static MotionDescriptor Create(int width, int height, SimdLevel? level = null)
    {
        int columns = ColumnsOf(width, height);
        double aspect = (double)width / height;
        return (level ?? SimdSelection.Current) switch
        {
            SimdLevel.V512 => new MotionDescriptor<Simd512, Vector512<float>>(columns, aspect),
            SimdLevel.V256 => new MotionDescriptor<Simd256, Vector256<float>>(columns, aspect),
            _ => new MotionDescriptor<Simd128, Vector128<float>>(columns, aspect),
        };
    }

    /// <summary>The first picture of a sequence; whatever was before is forgotten.</summary>
    /// <param name="picture">[<see cref="Rows"/>, <see cref="Columns"/>].</param>
    public abstract void Begin(ReadOnlySpan<byte> picture);

    /// <summary>The next picture of the sequence, after <see cref="Begin"/>.</summary>
    /// <param name="picture">[<see cref="Rows"/>, <see cref="Columns"/>].</param>
    /// <param name="seconds">Since the picture before.</param>
    /// <param name="features">Output [<see cref="Features"/>]: of the two pictures.</param>
    public abstract PicturePair Next(ReadOnlySpan<byte> picture, double seconds, Span<float> features);
}
