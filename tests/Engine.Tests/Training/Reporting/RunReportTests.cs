using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training.Reporting;

/// <summary>Pages of real runs on small features.</summary>
public sealed class RunReportTests : IDisposable
{
    private const string Hostile = "</title><script>alert('x')</script>\" onerror=\"y.mp4";

    private readonly TrainingFixture _fixture = new();

    [Fact]
    public void The_numbers_of_the_page_are_those_of_the_results()
    {
        TrainingResult result = TrainingFixture.Run(_fixture.Options("run") with { Epochs = 5 });
        string page = File.ReadAllText(_fixture.File("run/report.html"));

        foreach ((string name, ClassificationMetrics metrics) in new[] { ("val", result.Val!), ("test", result.Test!) })
        {
            int column = name == "val" ? 0 : 1;
            Row(page, "accuracy")[column].ShouldBe(Numbers.Percent(metrics.Accuracy));
            Row(page, "balanced accuracy")[column].ShouldBe(Numbers.Percent(metrics.BalancedAccuracy));
            Row(page, "ROC-AUC")[column].ShouldBe(Numbers.Fraction(metrics.Auc));
            Row(page, "always the larger class")[column].ShouldBe(Numbers.Percent(metrics.MajorityBaseline));
            Row(page, "loss")[column].ShouldBe(Numbers.Loss(metrics.Loss));
        }

        page.ShouldContain(Numbers.Percent(result.Test!.MajorityBaseline) + "</strong>");
        using var written = JsonDocument.Parse(File.ReadAllText(_fixture.File("run/training_results.json")));
        written.RootElement.GetProperty("test").GetProperty("accuracy").GetDouble().ShouldBe(result.Test.Accuracy);
        written.RootElement.GetProperty("stages").TryGetProperty("evaluate", out _).ShouldBeTrue();
        foreach (Match line in Regex.Matches(Figure(page, "Loss"), "class=\"line s[01]\" d=\"([^\"]+)\""))
        {
            Regex.Count(line.Groups[1].Value, "[ML]").ShouldBe(line.Groups[1].Value.Contains("M1 6H27") ? 1 : 5);
        }
    }

    [Fact]
    public void Predictions_of_every_clip_give_the_metrics_again()
    {
        TrainingResult result = TrainingFixture.Run(_fixture.Options("run"));

        foreach ((string split, ClassificationMetrics metrics) in new[] { ("val", result.Val!), ("test", result.Test!) })
        {
            IReadOnlyList<ClipPrediction> clips = PredictionFile.Read(_fixture.File($"run/predictions_{split}.csv"));
            clips.Count.ShouldBe(9);
            ClassificationMetrics again = ClassificationMetrics.Compute(
                [.. clips.Select(clip => clip.Label)], [.. clips.Select(clip => clip.Violent)], metrics.Threshold,
                    clips.Average(clip => clip.Loss));
            again.Accuracy.ShouldBe(metrics.Accuracy);
            again.Auc.ShouldBe(metrics.Auc);
            again.Loss.ShouldBe(metrics.Loss, 1e-6);
            clips.ShouldAllBe(clip => clip.Attention.Length == 4 && Math.Abs(clip.Attention.Sum() - 1) < 1e-5);
        }
    }

    [Fact]
    public void Replicas_give_each_clip_the_same_attention_as_one_device()
    {
        // No epoch changes anything: a learning rate of almost nothing leaves the initial weights, which do not depend on the devices.
        TrainingOptions options = _fixture.Options(
            "one") with
        { Epochs = 1, LearningRate = 1e-12, MinLearningRate = 1e-13, Dropout = 0, SyncBatchNorm = true };
        TrainingFixture.Run(options with { Device = "cpu" });
        TrainingFixture.Run(options with { Device = "cpu:3", CheckpointDir = _fixture.File("three") });

        IReadOnlyList<ClipPrediction> one = PredictionFile.Read(_fixture.File("one/predictions_test.csv"));
        IReadOnlyList<ClipPrediction> three = PredictionFile.Read(_fixture.File("three/predictions_test.csv"));
        one.Select(clip => clip.Attention).Distinct().Count().ShouldBe(9);
        foreach ((ClipPrediction single, ClipPrediction split) in one.Zip(three))
        {
            split.Path.ShouldBe(single.Path);
            for (int frame = 0; frame < 4; frame++)
            {
                split.Attention[frame].ShouldBe(single.Attention[frame], 1e-5);
            }
        }
    }

    [Fact]
    public void Names_of_clips_cannot_become_a_part_of_the_page()
    {
        foreach (string split in new[] { "val", "test" })
        {
            string quoted = "\"" + Hostile.Replace("\"", "\"\"") + "\"";
            File.WriteAllText(Path.Combine(_fixture.Features, $"{split}_videos.csv"),
                "path,class,source,status\n" + string.Concat(Enumerable.Repeat($"{quoted},violent,{quoted},ok\n", 9))
                + $"{quoted},violent,{quoted},<b>bad</b>\n");
        }

        TrainingFixture.Run(_fixture.Options("<img src=x>") with { Epochs = 1 });
        string page = File.ReadAllText(_fixture.File("<img src=x>/report.html"));

        page.ShouldContain(WebUtility.HtmlEncode(Hostile), customMessage: "the name itself is there");
        page.ShouldNotContain("<script", Case.Insensitive);
        page.ShouldNotContain("<b>bad");
        page.ShouldNotContain("<img src=x");
        Regex.IsMatch(page, "<[^>\"]*(\"[^\"]*\"[^>\"]*)*\\son[a-z]+=", RegexOptions.IgnoreCase).ShouldBeFalse("no tag has a handler");
        page.ShouldContain("default-src &#39;none&#39;".Replace("&#39;", "'"));
        Regex.Matches(page, "(?:href|src)=\"([^\"]*)\"").Select(match => match.Groups[1].Value)
            .ShouldAllBe(address => !address.Contains("//") && (address.StartsWith('#') || !address.Contains(':')));
    }

    [Fact]
    public void Averages_of_the_weights_stand_beside_the_best_checkpoint()
    {
        TrainingResult result = TrainingFixture.Run(_fixture.Options("run") with { Ema = 0.9, SwaStart = 2 });
        string page = File.ReadAllText(_fixture.File("run/report.html")),
            table = page[page.IndexOf("Averages of the weights", StringComparison.Ordinal)..];

        table.ShouldContain("swa: mean over the ends of epochs from 2 on, in swa_model.safetensors");
        Row(table, "ROC-AUC")
            .ShouldBe([.. result.Averages.SelectMany(average => new[] { average.Val, average.Test! }).Select(metrics => metrics.Auc.ToString("0.000", CultureInfo.InvariantCulture))]);

        TrainingFixture.Run(_fixture.Options("plain") with { Epochs = 1 });
        File.ReadAllText(_fixture.File("plain/report.html")).ShouldNotContain("Averages of the weights");
    }

    [Fact]
    public void No_page_is_written_when_it_is_not_wanted()
    {
        TrainingFixture.Run(_fixture.Options("run") with { Epochs = 1, Report = false });

        File.Exists(_fixture.File("run/report.html")).ShouldBeFalse();
        File.Exists(_fixture.File("run/predictions_test.csv")).ShouldBeTrue();
    }

    [Fact]
    public void A_page_that_cannot_be_written_is_a_warning_and_not_a_failed_run()
    {
        TrainingOptions options = _fixture.Options("run") with { Epochs = 1 };
        Directory.CreateDirectory(_fixture.File("run/report.html/in the way"));
        RecordingObserver observer = new();

        TrainingFixture.Run(options, observer).Outcome.ShouldBe(RunOutcome.Completed);

        observer.Messages.ShouldContain(
            message => message.Severity == Severity.Warning && message.Text.Contains("report.html was not written"));
        File.Exists(_fixture.File("run/training_results.json")).ShouldBeTrue();
    }

    [Fact]
    public void An_unfinished_run_has_a_page_of_what_there_is()
    {
        TrainingFixture.RunUntil(_fixture.Options("run"), 7).Outcome.ShouldBe(RunOutcome.Interrupted);

        string page = File.ReadAllText(RunReport.Write([_fixture.File("run")], [], null, overwrite: false, CancellationToken.None));

        page.ShouldContain("This run has not finished: 2 epochs of 4");
        page.ShouldContain("id=\"learning\"");
        page.ShouldNotContain("id=\"results\"");
    }

    [Fact]
    public void A_comparison_names_what_differs_and_marks_the_best()
    {
        TrainingResult[] results =
        [
            TrainingFixture.Run(_fixture.Options("a") with { Epochs = 1 }),
            TrainingFixture.Run(_fixture.Options("b") with { Epochs = 6, Model = "simple-lstm", Seed = 3 }),
        ];
        string page = File.ReadAllText(
            RunReport.Write([_fixture.File("a"), _fixture.File("b")], [], _fixture.File("both.html"), overwrite: false,
            CancellationToken.None));

        Row(page, "<code class=\"path wide\">Seed</code>").ShouldBe(["42", "3"]);
        Row(page, "<code class=\"path wide\">Model</code>").ShouldBe(["lstm-attention", "simple-lstm"]);
        page.ShouldNotContain("CheckpointDir");
        page.ShouldNotContain("BatchSize");
        double[] losses = [.. results.Select(result => result.Test!.Loss)];
        string[] cells = Row(page, "loss");
        for (int i = 0; i < 2; i++)
        {
            cells[i].ShouldBe(Numbers.Loss(losses[i]) + (losses[i] == losses.Min() ? " best" : string.Empty));
        }
    }

    [Fact]
    public void A_folder_without_a_run_is_an_error_with_advice()
    {
        RunException error = Should.Throw<RunException>(() =>
            RunReport.Write([_fixture.Features], [], null, overwrite: false, CancellationToken.None));

        error.Message.ShouldContain("holds no training run");
        error.Hint.ShouldNotBeNull();
    }

    [Theory]
    [InlineData(50, 50, 45, 44, "good")]
    [InlineData(50, 50, 26, 25, "bad")]
    [InlineData(3, 12, 3, 7, "bad")]
    [InlineData(30, 120, 30, 70, "good")]
    [InlineData(90, 10, 90, 0, "bad")]
    public void The_verdict_asks_whether_it_may_be_chance(int nonviolent, int violent, int rightNonviolent, int rightViolent,
        string expected)
    {
        int[] labels = [.. Enumerable.Repeat(0, nonviolent), .. Enumerable.Repeat(1, violent)];
        double[] scores =
        [
            .. Enumerable.Range(0, nonviolent).Select(i => i < rightNonviolent ? 0.1 : 0.9),
            .. Enumerable.Range(0, violent).Select(i => i < rightViolent ? 0.9 : 0.1),
        ];

        Verdict.Of(ClassificationMetrics.Compute(labels, scores, 0.5, 0)).Learned.ShouldBe(expected == "good");
    }

    public void Dispose() => _fixture.Dispose();

    /// <summary>The texts of the first table row with this header.</summary>
    private static string[] Row(string page, string header)
    {
        int start = page.IndexOf($"<th scope=\"row\">{header}</th>", StringComparison.Ordinal);
        start.ShouldBeGreaterThan(0, header);
        string row = page[start..page.IndexOf("</tr>", start, StringComparison.Ordinal)];
        return [.. Regex.Matches(row, "<td[^>]*>(.*?)</td>").Select(cell => Regex.Replace(cell.Groups[1].Value, "<[^>]*>", ""))];
    }

    private static string Figure(string page, string title)
    {
        int start = page.IndexOf($"<figcaption>{title}</figcaption>", StringComparison.Ordinal);
        return page[start..page.IndexOf("</figure>", start, StringComparison.Ordinal)];
    }
}
