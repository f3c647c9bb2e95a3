using CudaTrainer.Engine.Tests.Formats;
using CudaTrainer.Formats.Drawing;
using CudaTrainer.Training;

namespace CudaTrainer.Engine.Tests.TensorBoard;

public sealed class PictureTests
{
    private static readonly int[] _labels = [0, 0, 0, 0, 1, 1, 1, 1];
    private static readonly double[] _scores = [0.1, 0.2, 0.3, 0.7, 0.6, 0.8, 0.9, 0.4];

    [Fact]
    public void The_area_under_the_roc_curve_is_the_auc()
    {
        Random random = new(2);
        int[] labels = [.. Enumerable.Range(0, 200).Select(_ => random.Next(2))];
        double[] scores = [.. labels.Select(label => Math.Round(random.NextDouble() + (0.3 * label), 1))];

        var curve = RankMetrics.RocCurve(labels, scores);

        curve[0].ShouldBe((0, 0));
        curve[^1].ShouldBe((1, 1));
        curve.Zip(curve.Skip(1),
            (from, to) => (to.FalsePositiveRate - from.FalsePositiveRate) * (to.TruePositiveRate + from.TruePositiveRate) / 2).Sum()
            .ShouldBe(RankMetrics.RocAuc(labels, scores), 1e-12);
    }

    /// <summary>3 of 4 right in both classes: the diagonal is dark, the rest light.</summary>
    [Fact]
    public void Cells_of_the_confusion_matrix_are_as_dark_as_their_share()
    {
        var picture = EvaluationPictures.ConfusionMatrix(ClassificationMetrics.Compute(_labels, _scores, 0.5, 0),
            ["nonviolent", "violent"], "title");
        byte[] rgb = PngDecoder.Decode(picture.ToPng(), 480, 480);

        // Lower right corners of the cells, where no text stands.
        foreach (var (x, y, share) in new[] { (230, 230, 0.75), (410, 230, 0.25), (230, 410, 0.25), (410, 410, 0.75) })
        {
            At(rgb, x, y).ShouldBe(
                new Colour((byte)Math.Round(255 - (224 * share)), (byte)Math.Round(255 - (136 * share)),
                (byte)Math.Round(255 - (75 * share))));
        }

        // The count in the first cell: white letters.
        Enumerable.Range(0, 480 * 480)
            .Count(i => i % 480 is > 65 and < 235 && i / 480 is > 100 and < 235 && At(rgb, i % 480, i / 480) == Colour.White)
            .ShouldBeGreaterThan(100);
    }

    [Fact]
    public void The_roc_curve_goes_through_its_points()
    {
        var curve = RankMetrics.RocCurve(_labels, _scores);
        byte[] rgb = PngDecoder.Decode(EvaluationPictures.Roc(curve, "title").ToPng(), 480, 480);

        foreach (var (falsePositiveRate, truePositiveRate) in curve)
        {
            At(rgb, 60 + (int)Math.Round(360 * falsePositiveRate), 420 - (int)Math.Round(360 * truePositiveRate))
                .ShouldBe(new Colour(31, 119, 180));
        }

        At(rgb, 350, 380).ShouldBe(Colour.White, "far below the curve");
    }

    [Fact]
    public void With_one_class_there_is_a_picture_without_a_curve()
    {
        byte[] rgb = PngDecoder.Decode(EvaluationPictures.Roc(RankMetrics.RocCurve([0, 0], [0.1, 0.2]), "AUC NaN").ToPng(), 480, 480);

        rgb.Chunk(3).ShouldNotContain(pixel => pixel[0] == 31 && pixel[1] == 119 && pixel[2] == 180);
        rgb.Chunk(3).ShouldContain(pixel => pixel[0] == 0);
    }

    /// <summary>Every letter that charts use is drawn, and no two look alike.</summary>
    [Fact]
    public void Letters_differ()
    {
        const string letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz .,-%/:=()_+?";
        letters.Select(letter => Convert.ToHexString(DotFont.Columns(letter))).ShouldBeUnique();
        DotFont.Columns('1').ToArray().ShouldBe([0x00, 0x42, 0x7F, 0x40, 0x00]);
    }

    [Fact]
    public void What_lies_outside_is_left_out()
    {
        Raster raster = new(4, 3);
        raster.Fill(-5, -5, 100, 6, Colour.Black);
        raster.Line(-3, 2, 9, 2, Colour.Black);
        raster.Text(3, -2, "W", Colour.Black);

        byte[] rgb = PngDecoder.Decode(raster.ToPng(), 4, 3);
        Enumerable.Range(0, 4).ShouldAllBe(x => At(rgb, x, 0, 4) == Colour.Black && At(rgb, x, 2, 4) == Colour.Black);
        At(rgb, 0, 1, 4).ShouldBe(Colour.White);
    }

    private static Colour At(byte[] rgb, int x, int y, int width = EvaluationPictures.Size)
    {
        int at = ((y * width) + x) * 3;
        return new Colour(rgb[at], rgb[at + 1], rgb[at + 2]);
    }
}
