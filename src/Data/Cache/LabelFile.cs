using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Reads labels that this program or NumPy wrote.</summary>
internal static class LabelFile
{
    /// <summary>Reads labels from 0 on.</summary>
    /// <param name="path">The <c>.npy</c> file.</param>
    /// <param name="featuresPath">The features they belong to, for messages.</param>
    /// <param name="rows">N: rows of the features.</param>
    /// <param name="classes">What they are of.</param>
    /// <exception cref="FileFormatException">Another shape, another number of rows, or other values; the message names the row.</exception>
    public static int[] Read(string path, string featuresPath, int rows, ClassList classes)
    {
        string hint = classes.IsViolence
            ? "Labels are 0 (nonviolent) or 1 (violent), of any number type, shape [N]; or one-hot, shape [N, 2]. For other classes write "
                + $"their names into {ClassFile.Name} beside the file."
            : $"Labels are {Expected(classes)} ({classes}), of any number type, shape [N]; or one-hot, shape [N, {classes.Count}].";
        (ElementType type, long[] shape) = NpyFile.ReadHeader(path);
        int columns = shape switch
        {
            [_] or [_, 1] => 1,
            [_, var width] when width == classes.Count => classes.Count,
            _ => throw new FileFormatException(path, $"expected labels of shape [{rows}], found {ElementTypes.Format(shape)}", hint),
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
            ReadOnlySpan<double> of = values.AsSpan(row * columns, columns);
            int label = columns == 1 ? Single(of[0], classes.Count) : OneHot(of);
            labels[row] = label >= 0 ? label : throw new FileFormatException(path, columns == 1
                ? $"the label of row {row} is {Show(of[0])}, expected {Expected(classes)}"
                : $"the label of row {row} is [{string.Join(", ", of.ToArray().Select(Show))}], expected {Columns(classes)}", hint);
        }

        return labels;
    }

    /// <returns>-1 for what is no label.</returns>
    private static int Single(double value, int classes) =>
        value >= 0 && value < classes && value == Math.Floor(value) ? (int)value : -1;

    /// <returns>-1 for what is no label.</returns>
    private static int OneHot(ReadOnlySpan<double> values) =>
        values.Count(1) == 1 && values.Count(0) == values.Length - 1 ? values.IndexOf(1) : -1;

    private static string Expected(ClassList classes) => classes.Count == 2 ? "0 or 1" : $"0 to {classes.Count - 1}";

    private static string Columns(ClassList classes) => classes.Count == 2 ? "[1, 0] or [0, 1]" : "a single 1 among zeros";

    private static string Show(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
