namespace CudaTrainer.Data.Video;

/// <summary>
/// What pictures look like, whatever they show; of the small grey pictures that motion is looked for in (docs/motion.md), so that neither
/// the size nor the frame rate of a video matters, and a model of motion sees no more than that.
/// </summary>
/// <param name="Luminance">Mean grey level, 0 to 255.</param>
/// <param name="Contrast">Standard deviation of the grey levels.</param>
/// <param name="Sharpness">
/// Root mean square of the differences between neighbouring pixels, over the same of pixels two apart: about ½ where all edges are
/// blurred, near 1 where every pixel is by itself; 0 where all are equal. It does not change with brightness and contrast.
/// </param>
/// <param name="Noise">
/// Grey levels by which successive pictures differ where least happens: the mean of |difference| in the cell of 8 × 8 pixels that a tenth
/// of all cells stay below.
/// </param>
public readonly record struct PictureStatistics(double Luminance, double Contrast, double Sharpness, double Noise)
{
    private const int Cell = 8;

    /// <summary>The means over some pictures; zeros of none.</summary>
    public static PictureStatistics Mean(ReadOnlySpan<PictureStatistics> pictures)
    {
        double luminance = 0, contrast = 0, sharpness = 0, noise = 0;
        foreach (PictureStatistics picture in pictures)
        {
            luminance += picture.Luminance;
            contrast += picture.Contrast;
            sharpness += picture.Sharpness;
            noise += picture.Noise;
        }

        int count = Math.Max(1, pictures.Length);
        return new PictureStatistics(luminance / count, contrast / count, sharpness / count, noise / count);
    }

    /// <summary>Of one picture.</summary>
    /// <param name="picture">[rows, columns], both at least 8.</param>
    /// <param name="before">The picture before it.</param>
    internal static PictureStatistics Of(ReadOnlySpan<byte> picture, ReadOnlySpan<byte> before, int columns)
    {
        long sum = 0, squares = 0;
        foreach (byte level in picture)
        {
            sum += level;
            squares += level * level;
        }

        double mean = (double)sum / picture.Length, variance = Math.Max(0, ((double)squares / picture.Length) - (mean * mean));
        double apart = Difference(picture, columns, 2);
        return new PictureStatistics(mean, Math.Sqrt(variance), apart > 0 ? Math.Sqrt(Difference(picture, columns, 1) / apart) : 0,
            Quietest(picture, before, columns));
    }

    /// <summary>Mean square of the differences between pixels so far apart, down and across.</summary>
    private static double Difference(ReadOnlySpan<byte> picture, int columns, int distance)
    {
        long sum = 0, count = 0;
        for (int row = 0; row < picture.Length; row += columns)
        {
            ReadOnlySpan<byte> line = picture.Slice(row, columns);
            sum += Squares(line[distance..], line);
            count += columns - distance;
        }

        ReadOnlySpan<byte> below = picture[(distance * columns)..];
        return (double)(sum + Squares(below, picture)) / (count + below.Length);
    }

    /// <param name="others">At least as many.</param>
    private static long Squares(ReadOnlySpan<byte> levels, ReadOnlySpan<byte> others)
    {
        long sum = 0;
        for (int i = 0; i < levels.Length; i++)
        {
            int difference = levels[i] - others[i];
            sum += difference * difference;
        }

        return sum;
    }

    private static double Quietest(ReadOnlySpan<byte> picture, ReadOnlySpan<byte> before, int columns)
    {
        int across = columns / Cell, down = picture.Length / columns / Cell;
        Span<int> sums = stackalloc int[across * down];
        sums.Clear();
        for (int y = 0; y < down * Cell; y++)
        {
            for (int x = 0; x < across * Cell; x++)
            {
                int at = (y * columns) + x;
                sums[(y / Cell * across) + (x / Cell)] += Math.Abs(picture[at] - before[at]);
            }
        }

        sums.Sort();
        return (double)sums[sums.Length / 10] / (Cell * Cell);
    }
}
