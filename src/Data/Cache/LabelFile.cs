using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Reads labels that this program or NumPy wrote.</summary>
internal static class LabelFile
{
    private const string Hint = "Labels are 0 (nonviolent) or 1 (violent), of any number type, shape [N]; or one-hot, shape [N, 2].";

    /// <summary>Reads labels of 0 and 1.</summary>
    /// <param name="path">The <c>.npy</c> file.</param>
    /// <param name="featuresPath">The features they belong to, for messages.</param>
    /// <param name="rows">N: rows of the features.</param>
    /// <exception cref="FileFormatException">Another shape, another number of rows, or other values; the message names the row.</exception>
    public static int[] Read(string path, string featuresPath, int rows)
    {
        (ElementType type, long[] shape) = NpyFile.ReadHeader(path);
        int columns = shape switch
        {
            [_] or [_, 1] => 1,
            [_, ClassLabel.Count] => ClassLabel.Count,
            _ => throw new FileFormatException(path, $"expected labels of shape [{rows}], found {ElementTypes.Format(shape)}", Hint),
        };
        if (shape[0] != rows)
        {
            throw new FileFormatException(
                path, $"expected {rows} labels, one for each row of '{featuresPath}', found {shape[0]}",
                    "Both files must come from the same extraction.");
        }

        double[] values = type.IsFloating()
            ? Array.ConvertAll(NpyFile.ReadSingle(path).Data, value => (double)value)
            : Array.ConvertAll(NpyFile.ReadInt64(path).Data, value => (double)value);
        int[] labels = new int[rows];
        for (int row = 0; row < rows; row++)
        {
            labels[row] = columns == 1 ? Single(path, row, values[row]) : OneHot(path, row, values[2 * row], values[(2 * row) + 1]);
        }

        return labels;
    }

    private static int Single(string path, int row, double value) => value switch
    {
        0 => ClassLabel.Nonviolent,
        1 => ClassLabel.Violent,
        _ => throw new FileFormatException(path, $"the label of row {row} is {Show(value)}, expected 0 or 1", Hint),
    };

    private static int OneHot(string path, int row, double nonviolent, double violent) => (nonviolent, violent) switch
    {
        (1, 0) => ClassLabel.Nonviolent,
        (0, 1) => ClassLabel.Violent,
        _ => throw new FileFormatException(
            path, $"the label of row {row} is [{Show(nonviolent)}, {Show(violent)}], expected [1, 0] or [0, 1]", Hint),
    };

    private static string Show(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
