using System.Text.RegularExpressions;

namespace CudaTrainer.Cli.Tests;

/// <summary>report.html, by the built program and in a browser.</summary>
public sealed class ReportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ReportTests() => FeatureFolder.Write(_folder.File("features"));

    [Fact]
    public void A_run_ends_with_a_page_that_needs_nothing_else()
    {
        Train("run").ExitCode.ShouldBe(0);

        string html = File.ReadAllText(_folder.File("run/report.html"));
        // The namespaces of SVG are names, not addresses.
        html.Replace("http://www.w3.org/2000/svg", "").ShouldNotMatch("https?://");
        Regex.Matches(html, "(?:src|href)=\"([^\"]*)\"").Select(match => match.Groups[1].Value)
            .ShouldAllBe(address => address.StartsWith("data:") || Regex.IsMatch(address, "^#|^[a-z0-9_.]+$"));
        html.ShouldNotMatch("<[^>]+ on[a-z]+=");
        foreach (string section in new[] { "Learning rate", "Confusion", "ROC", "Precision", "Threshold", "Calibration", "Environment" })
        {
            html.ShouldContain(section, Case.Insensitive);
        }

    }

    [Fact]
    public void The_command_on_the_page_gives_the_same_model_again()
    {
        Train("run").ExitCode.ShouldBe(0);
        string command = Regex.Match(File.ReadAllText(_folder.File("run/report.html")), "<pre[^>]*>cudatrainer ([^<]*)</pre>")
            .Groups[1].Value;

        CommandRunner.RunIn(_folder.Path, [], command.Split(' ')).ExitCode.ShouldBe(0, command);

        File.ReadAllBytes(_folder.File("run-again/best_model.safetensors"))
            .ShouldBe(File.ReadAllBytes(_folder.File("run/best_model.safetensors")));
    }

    [Fact]
    public void A_browser_shows_the_charts_without_a_complaint_on_a_screen_and_on_a_phone()
    {
        using Browser browser = new();
        Train("run").ExitCode.ShouldBe(0);
        Train("other", "--learning-rate", "0.01").ExitCode.ShouldBe(0);
        CommandRunner.RunIn(_folder.Path, [], "report", "run", "other").ExitCode.ShouldBe(0);

        foreach (var (file, charts) in new[] { ("run/report.html", 8), ("comparison.html", 2) })
        {
            // The page forbids scripts; a copy without that has one at its end, which tells what a person would see: whether anything
            // reaches over the edge.
            string html = File.ReadAllText(_folder.File(file));
            browser.Load(new Uri(_folder.File(file)).AbsoluteUri).Log.ShouldNotContain("CONSOLE");
            string copy = _folder.File(
                "copy.html",
                Regex.Replace(html, "<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "")
                    .Replace("</body>", "<script>document.body.dataset.over = document.documentElement.scrollWidth > innerWidth</script></body>"));
            foreach (int width in new[] { 1200, 500 })
            {
                var (page, log) = browser.Load(new Uri(copy).AbsoluteUri, width);

                log.ShouldNotContain("CONSOLE");
                Regex.Count(page, "<svg").ShouldBeGreaterThanOrEqualTo(charts, file);
                page.ShouldContain("data-over=\"false\"", Case.Sensitive, $"{file} at {width} pixels");
            }
        }
    }

    [Fact]
    public void Runs_are_compared_and_the_page_has_the_name_asked_for()
    {
        Train("one").ExitCode.ShouldBe(0);
        Train("two", "--model", "gru-attention").ExitCode.ShouldBe(0);

        var outcome = CommandRunner.RunIn(_folder.Path, [], "report", "one", "two", "--output", "both.html");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("both.html");
        string html = File.ReadAllText(_folder.File("both.html"));
        html.ShouldContain("gru-attention");
        html.ShouldContain("simple-lstm");
    }

    [Fact]
    public void What_is_not_a_run_or_is_damaged_is_named()
    {
        Train("run").ExitCode.ShouldBe(0);
        string results = _folder.File("run/training_results.json");
        File.WriteAllText(results, File.ReadAllText(results)[..100]);

        var damaged = CommandRunner.RunIn(_folder.Path, [], "report", "run");
        var none = CommandRunner.RunIn(_folder.Path, [], "report", "features");
        var nothing = CommandRunner.RunIn(_folder.Path, [], "report");

        (damaged.ExitCode, none.ExitCode, nothing.ExitCode).ShouldBe((1, 1, 2));
        damaged.Error.ShouldContain("training_results.json");
        none.Error.ShouldContain("holds no training run");
        nothing.Error.ShouldContain("RUN");
    }

    [Fact]
    public void Without_a_report_there_is_none()
    {
        Train("run", "--no-report").ExitCode.ShouldBe(0);

        File.Exists(_folder.File("run/report.html")).ShouldBeFalse();
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Train(string run, params string[] options) => CommandRunner.RunIn(
        _folder.Path, [], ["train", "--features-dir", "features", "--checkpoint-dir", run, "--epochs", "2",
            .. options.Contains("--model") ? [] : (string[])["--model", "simple-lstm"], .. options]);
}
