using System.Text.RegularExpressions;
using System.Xml.Linq;
using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Engine.Tests.Training.Reporting;

public class ChartTests
{
    [Theory]
    [InlineData(0, 1, "0 0.2 0.4 0.6 0.8 1.0")]
    [InlineData(0.61, 0.68, "0.60 0.62 0.64 0.66 0.68")]
    [InlineData(0, 1e-3, "0 2e-4 4e-4 6e-4 8e-4 1e-3")]
    [InlineData(-1, 3, "-1 0 1 2 3")]
    [InlineData(0, 23456, "0 5,000 10,000 15,000 20,000 25,000")]
    public void Ticks_are_round_numbers_around_the_data(double low, double high, string expected)
    {
        Axis axis = Axis.Around("y", [high, low, double.NaN], 5);

        string.Join(" ", axis.Ticks.Select(axis.Text)).ShouldBe(expected);
        axis.From.ShouldBeLessThanOrEqualTo(low);
        axis.To.ShouldBeGreaterThanOrEqualTo(high);
    }

    [Fact]
    public void An_axis_always_has_a_length()
    {
        foreach (double[] values in new double[][] { [], [double.NaN], [0.5], [0, 0], [1e-12], [-3, -3] })
        {
            Axis axis = Axis.Around("y", values, 5);
            axis.To.ShouldBeGreaterThan(axis.From);
            axis.Ticks.Count.ShouldBeInRange(2, 12);
        }
    }

    [Fact]
    public void Whole_axes_have_whole_ticks_and_limits_are_kept()
    {
        Axis.Around("epoch", [1, 3], 6, whole: true).Ticks.ShouldAllBe(tick => tick == Math.Round(tick));
        Axis limited = Axis.Around("accuracy", [0.71, 1], 5, least: 0, most: 1);
        limited.To.ShouldBe(1);
        limited.From.ShouldBe(0.7, 1e-9);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100)]
    [InlineData(1500)]
    public void A_line_has_as_many_points_as_there_are_epochs(int epochs)
    {
        XElement svg = Svg(Line(Enumerable.Range(1, epochs).Select(epoch => ((double)epoch, Math.Sin(epoch)))));

        string path = svg.Descendants("path").Single(element => element.Attribute("class")!.Value.StartsWith("line")).Attribute("d")!.Value;
        Regex.Count(path, "[ML]").ShouldBe(epochs);
        int marks = svg.Descendants("title").Count(title => title.Value.Contains(" at "));
        marks.ShouldBe(epochs <= 120 ? epochs : 0, "each point says its numbers while there are few");
    }

    [Fact]
    public void A_very_long_line_is_thinned_to_its_extremes()
    {
        XElement svg = Svg(Line(Enumerable.Range(1, 50_000).Select(x => ((double)x, x == 31_415 ? 9.0 : 0.5))));

        string path = svg.Descendants("path").First().Attribute("d")!.Value;
        Regex.Count(path, "[ML]").ShouldBeLessThan(2100);
        double highest = Regex.Matches(path, @"[ML][\d.]+ ([\d.]+)")
            .Min(match => double.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture));
        highest.ShouldBeLessThan(50, "the one high point is there");
    }

    [Fact]
    public void A_number_that_does_not_exist_interrupts_the_line()
    {
        XElement svg = Svg(Line([(1, 1), (2, double.NaN), (3, 2), (4, 3)]));

        string path = svg.Descendants("path").First().Attribute("d")!.Value;
        Regex.Count(path, "M").ShouldBe(2);
        Regex.Count(path, "L").ShouldBe(1);
        path.ShouldNotContain("NaN");
    }

    [Fact]
    public void Lines_differ_in_dashes_and_marks_and_are_named_in_text()
    {
        Chart chart = Chart.Of("T", "D", "x", "y", [new Series("one", 0, [(1, 1), (2, 2)]), new Series("two & more", 1, [(1, 2), (2, 1)])]);
        XElement figure = XElement.Parse(chart.ToMarkup().Text);

        figure.Descendants("li").Select(item => item.Value.Trim()).ShouldBe(["one", "two & more"]);
        figure.Element("svg")!.Attribute("aria-label")!.Value.ShouldBe("T. D");
        figure.Element("svg")!.Descendants("circle").Count().ShouldBe(2);
        figure.Element("svg")!.Descendants("path").Count(path => path.Attribute("class")!.Value == "p s1").ShouldBe(2);
    }

    private static Chart Line(IEnumerable<(double X, double Y)> points) =>
        Chart.Of("Loss", "Falls.", "epoch", "loss", [new Series("training", 0, [.. points])]);

    private static XElement Svg(Chart chart) => XElement.Parse(chart.ToMarkup().Text).Element("svg")!;
}
