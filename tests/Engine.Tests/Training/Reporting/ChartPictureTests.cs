using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Reporting;
using SkiaSharp;

namespace CudaTrainer.Engine.Tests.Training.Reporting;

/// <summary>Places are in the units of the drawing, whose upper left corner lies at (14, 36) of a picture of 448 × 338.</summary>
public sealed class ChartPictureTests
{
    private static readonly SKColor Card = SKColors.White, Blue = SKColor.Parse("#1a5fc0"), Red = SKColor.Parse("#c2410c");

    /// <summary>3 of 4 nonviolent clips right, 1 of 4 violent ones: a right cell is blue, a wrong one red, by its share.</summary>
    [Fact]
    public void Cells_of_the_confusion_matrix_are_as_deep_as_their_share()
    {
        ClassificationMetrics metrics =
            ClassificationMetrics.Compute([0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.6, 0.2, 0.3, 0.4], 0.5, 0);

        using SKBitmap picture = Draw(ScoreCharts.Confusion("val", metrics));

        foreach ((int x, int y, SKColor colour, int percent) in new[]
        {
            (102, 34, Blue, 28), (262, 34, Red, 12), (102, 150, Red, 28), (262, 150, Blue, 12),
        })
        {
            SKColor cell = Between(colour, percent / 100.0);
            Near(At(picture, x, y), cell).ShouldBeTrue($"({x}, {y}) is {At(picture, x, y)}, not {cell}");
            Near(At(picture, x + 140, y + 90), cell).ShouldBeTrue("the opposite corner");
        }

        // The count in the middle of a cell, the share below it, and the names of row and column.
        foreach ((int left, int top, int right, int bottom) in new[]
        {
            (164, 66, 184, 92), (130, 96, 220, 112), (10, 70, 90, 86), (110, 6, 240, 20),
        })
        {
            InkShare(picture, left, top, right, bottom).ShouldBeInRange(0.03, 0.5, $"letters at ({left}, {top})");
        }
    }

    [Fact]
    public void The_roc_curve_goes_through_its_corners()
    {
        (double X, double Y)[] curve = [(0, 0), (0, 0.5), (0.25, 0.5), (0.25, 1), (1, 1)];

        using SKBitmap picture = Draw(ScoreCharts.Roc("ROC curve", [new Series("val", 0, curve, SeriesKind.Curve)]));

        foreach ((double x, double y) in curve.Zip(curve.Skip(1), (from, to) => ((from.X + to.X) / 2, (from.Y + to.Y) / 2)))
        {
            Near(At(picture, 54 + (352 * x), 224 - (210 * y)), Blue).ShouldBeTrue($"({x}, {y})");
        }

        Near(At(picture, 54 + (352 * 0.7), 224 - (210 * 0.3)), Card).ShouldBeTrue("below the curve and the diagonal");
    }

    /// <summary>Without clips of one class there is no curve; its name has a swatch all the same.</summary>
    [Fact]
    public void An_empty_curve_leaves_the_axes()
    {
        using SKBitmap picture = Draw(ScoreCharts.Roc("ROC curve", [new Series("val", 0, [], SeriesKind.Curve)]));

        Places(picture, 0, 0, 420, 268).ShouldNotContain(pixel => Near(pixel, Blue));
        Places(picture, 0, 278, 28, 290).ShouldContain(pixel => Near(pixel, Blue));
        Near(At(picture, 200, 224), SKColor.Parse("#536171")).ShouldBeTrue("the axis");
    }

    /// <summary>Bars are filled with a paler colour, marks of a line with that of the page, and a name above a mark is readable.</summary>
    [Fact]
    public void Bars_lines_and_marks_look_as_on_the_page()
    {
        Chart chart = new()
        {
            Title = "All",
            Description = "Everything.",
            X = Axis.Between("x", 0, 4, 1),
            Y = Axis.Between("y", 0, 4, 1),
            Series =
            [
                new Series("bars", 0, [(0, 2)], SeriesKind.Bars) { BarWidth = 1 },
                new Series("line", 1, [(1, 3), (3, 3)]),
                new Series("round", 4, [(1, 1), (3, 1)]),
            ],
            Marks = [(2, "here")],
        };

        using SKBitmap picture = Draw(chart.ToMarkup());

        // 88 units each to the right, 49.5 up.
        Near(At(picture, 54 + 44, 224 - 49.5), Between(Blue, 0.34)).ShouldBeTrue("inside the bar");
        Near(At(picture, 54, 224 - 49.5), Blue).ShouldBeTrue("the bar's edge");
        Near(At(picture, 54 + 88, 224 - 49.5), Card).ShouldBeTrue("inside a mark");
        Places(picture, 54 + 92, 224 - 152, 54 + 260, 224 - 145).Count(pixel => Near(pixel, Red))
            .ShouldBeGreaterThan(100, "the dashed line");
        Places(picture, 54 + 175, 26, 54 + 178, 224).ShouldContain(pixel => Near(pixel, SKColor.Parse("#17202b"), 60), "the mark's line");
        InkShare(picture, 54 + 160, 8, 54 + 192, 19).ShouldBeInRange(0.05, 0.5, "the mark's name");
    }

    [Fact]
    public void Equal_charts_are_equal_files_and_titles_are_drawn()
    {
        Series curve = new("val", 0, [(0, 0), (1, 1)], SeriesKind.Curve);

        byte[] one = ChartPicture.Draw(ScoreCharts.Roc("Title & more", [curve]));
        byte[] again = ChartPicture.Draw(ScoreCharts.Roc("Title & more", [curve]));
        using SKBitmap picture = SKBitmap.Decode(one), other = Draw(ScoreCharts.Roc("Titles", [curve]));

        again.ShouldBe(one);
        InkShare(picture, 0, -24, 90, -8).ShouldBeInRange(0.05, 0.5);
        Places(picture, 0, -30, 420, 0).ShouldNotBe(Places(other, 0, -30, 420, 0));
        Places(picture, 0, 0, 420, 300).ShouldBe(Places(other, 0, 0, 420, 300));
    }

    private static SKBitmap Draw(Markup chart)
    {
        var picture = SKBitmap.Decode(ChartPicture.Draw(chart));
        (picture.Width, picture.Height).ShouldBe((ChartPicture.Width, ChartPicture.Height));
        return picture;
    }

    private static SKColor At(SKBitmap picture, double x, double y) => picture.GetPixel(Pixel(x + 14), Pixel(y + 36));

    private static int Pixel(double units) => (int)(units * ChartPicture.Width / 448);

    private static IEnumerable<SKColor> Places(SKBitmap picture, int left, int top, int right, int bottom) =>
        from y in Enumerable.Range(Pixel(top + 36), Pixel(bottom - top))
        from x in Enumerable.Range(Pixel(left + 14), Pixel(right - left))
        select picture.GetPixel(x, y);

    /// <summary>The share of pixels that are much darker than the corner.</summary>
    private static double InkShare(SKBitmap picture, int left, int top, int right, int bottom)
    {
        SKColor paper = At(picture, left, top);
        return Places(picture, left, top, right, bottom).Average(pixel => pixel.Red < paper.Red - 60 ? 1.0 : 0);
    }

    private static SKColor Between(SKColor colour, double share) =>
        new(Mix(colour.Red, share), Mix(colour.Green, share), Mix(colour.Blue, share));

    private static byte Mix(byte colour, double share) => (byte)Math.Round((share * colour) + ((1 - share) * 255));

    private static bool Near(SKColor one, SKColor other, int most = 3) =>
        Math.Abs(one.Red - other.Red) <= most && Math.Abs(one.Green - other.Green) <= most && Math.Abs(one.Blue - other.Blue) <= most;
}
