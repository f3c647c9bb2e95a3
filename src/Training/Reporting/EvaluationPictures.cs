using System.Globalization;
using CudaTrainer.Formats.Drawing;

namespace CudaTrainer.Training;

/// <summary>How well a classifier does, as pictures of <see cref="Size"/> × <see cref="Size"/> pixels.</summary>
internal static class EvaluationPictures
{
    public const int Size = 480;

    private const int Margin = 60;
    private const int Plot = Size - (2 * Margin);

    private static readonly Colour _full = new(31, 119, 180);
    private static readonly Colour _grid = new(225, 225, 225);
    private static readonly Colour _grey = new(120, 120, 120);

    /// <summary>Rows are true classes, columns predicted ones; the darker, the larger the share of its row.</summary>
    /// <param name="classes">Names of the two.</param>
    public static Raster ConfusionMatrix(ClassificationMetrics metrics, IReadOnlyList<string> classes, string title)
    {
        const int cell = Plot / 2;
        var picture = new Raster(Size, Size);
        picture.CentredText(Size / 2, Margin / 3, title, Colour.Black);
        picture.CentredText(Size / 2, Size - (Margin / 3), "columns: predicted, rows: true", _grey);
        for (int row = 0; row < 2; row++)
        {
            int top = Margin + (row * cell);
            int total = metrics.ConfusionMatrix[row][0] + metrics.ConfusionMatrix[row][1];
            picture.CentredText(Margin + (row * cell) + (cell / 2), Margin - 12, classes[row], Colour.Black);
            for (int column = 0; column < 2; column++)
            {
                int count = metrics.ConfusionMatrix[row][column];
                double share = total == 0 ? 0 : (double)count / total;
                int left = Margin + (column * cell);
                Colour ink = share > 0.5 ? Colour.White : Colour.Black;
                picture.Fill(left, top, cell, cell, Colour.White.Towards(_full, share));
                picture.CentredText(left + (cell / 2), top + (cell / 2), count.ToString(CultureInfo.InvariantCulture), ink, scale: 5);
                picture.CentredText(left + (cell / 2), top + (3 * cell / 4),
                    total == 0 ? "-" : string.Create(CultureInfo.InvariantCulture, $"{100 * share:F1}%"), ink);
            }

            // There is no room for the name of a row but inside.
            picture.Text(Margin + 6, top + 6, classes[row], metrics.ConfusionMatrix[row][0] > total / 2.0 ? Colour.White : Colour.Black);
        }

        for (int i = 0; i <= 2; i++)
        {
            picture.Line(Margin, Margin + (i * cell), Margin + Plot, Margin + (i * cell), Colour.Black, pen: 2);
            picture.Line(Margin + (i * cell), Margin, Margin + (i * cell), Margin + Plot, Colour.Black, pen: 2);
        }

        return picture;
    }

    /// <param name="curve">From (0, 0) to (1, 1); with NaN, where a class is missing, only the axes are drawn.</param>
    public static Raster Roc(IReadOnlyList<(double FalsePositiveRate, double TruePositiveRate)> curve, string title)
    {
        var picture = new Raster(Size, Size);
        picture.CentredText(Size / 2, Margin / 3, title, Colour.Black);
        picture.CentredText(Size / 2, Size - (Margin / 4), "false positive rate", Colour.Black);
        picture.Text(Margin, Margin - 18, "true positive rate", Colour.Black);
        for (int i = 0; i <= 5; i++)
        {
            double share = i / 5.0;
            string number = share.ToString("F1", CultureInfo.InvariantCulture);
            picture.Line(X(share), Y(0), X(share), Y(1), _grid);
            picture.Line(X(0), Y(share), X(1), Y(share), _grid);
            picture.CentredText(X(share), Size - Margin + 16, number, Colour.Black);
            picture.CentredText(Margin - 26, Y(share), number, Colour.Black);
        }

        picture.Line(X(0), Y(0), X(1), Y(1), _grey);
        picture.Line(X(0), Y(0), X(1), Y(0), Colour.Black, pen: 2);
        picture.Line(X(0), Y(0), X(0), Y(1), Colour.Black, pen: 2);
        for (int i = 1; i < curve.Count; i++)
        {
            var (from, to) = (curve[i - 1], curve[i]);
            if (double.IsFinite(to.FalsePositiveRate) && double.IsFinite(to.TruePositiveRate))
            {
                picture.Line(X(from.FalsePositiveRate), Y(from.TruePositiveRate), X(to.FalsePositiveRate), Y(to.TruePositiveRate), _full,
                    pen: 3);
            }
        }

        return picture;

        static int X(double share) => Margin + (int)Math.Round(share * Plot);
        static int Y(double share) => Size - Margin - (int)Math.Round(share * Plot);
    }
}
