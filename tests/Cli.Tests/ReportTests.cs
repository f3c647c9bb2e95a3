using System.Text.RegularExpressions;
using Microsoft.Playwright;

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
    public void A_page_replaces_a_page_and_nothing_else()
    {
        Train("run").ExitCode.ShouldBe(0);
        byte[] model = File.ReadAllBytes(_folder.File("run/best_model.safetensors"));

        CommandOutcome refused = CommandRunner.RunIn(_folder.Path, [], "report", "run", "--output", "run/best_model.safetensors");

        refused.ExitCode.ShouldBe(1);
        refused.ErrorLines.ShouldBe(
        [
            "error: 'run/best_model.safetensors' is there already, and it is no HTML page.",
            "hint: Choose another name for --output, or give --overwrite to replace it.",
        ]);
        File.ReadAllBytes(_folder.File("run/best_model.safetensors")).ShouldBe(model);
        CommandOutcome again = CommandRunner.RunIn(_folder.Path, [], "report", "run", "--json");
        again.ExitCode.ShouldBe(0, again.Error);
        again.Output.ShouldContain("\"report\": \"run/report.html\"");
        CommandRunner.RunIn(_folder.Path, [], "report", "run", "--output", "run/train.log", "--overwrite").ExitCode.ShouldBe(0);
    }

    [Theory]
    [InlineData("note.safetensors", "cv --features-dir features --model linear --folds 2 --model-output note.safetensors")]
    [InlineData("note.json", "ensemble a b --features-dir features --output note.json")]
    [InlineData("note.mp4", "predict clip.mp4 --window 1 --annotate note.mp4")]
    [InlineData("note.html", "report features --output note.html")]
    public void No_command_replaces_a_file_of_another_kind(string file, string line)
    {
        _folder.File(file, "hours of work");

        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], line.Split(' '));

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain($"'{file}' is there already");
        outcome.Error.ShouldContain("or give --overwrite to replace it.");
        File.ReadAllText(_folder.File(file)).ShouldBe("hours of work");
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
    public async Task A_browser_shows_the_charts_without_a_complaint_on_a_screen_and_on_a_phone()
    {
        await using Browser browser = await Browser.Start();
        Train("run").ExitCode.ShouldBe(0);
        Train("other", "--learning-rate", "0.01").ExitCode.ShouldBe(0);
        CommandRunner.RunIn(_folder.Path, [], "report", "run", "other").ExitCode.ShouldBe(0);

        foreach ((string file, int charts) in new[] { ("run/report.html", 8), ("comparison.html", 2) })
        {
            foreach (int width in new[] { 1200, 500 })
            {
                IPage page = await browser.Open(new Uri(_folder.File(file)).AbsoluteUri, width);

                browser.Complaints.ShouldBeEmpty(file);
                (await page.GetByRole(AriaRole.Img).CountAsync()).ShouldBeGreaterThanOrEqualTo(charts, file);
                (await page.EvaluateAsync<bool>("document.documentElement.scrollWidth > innerWidth"))
                    .ShouldBeFalse($"{file} at {width} pixels reaches over the edge");
            }
        }
    }

    /// <summary>By what a person without a mouse, or who hears the page, has: keys, roles and names.</summary>
    [Fact]
    public async Task The_page_is_used_with_the_keyboard_and_read_by_its_names()
    {
        await using Browser browser = await Browser.Start();
        Train("run").ExitCode.ShouldBe(0);
        IPage page = await browser.Open(new Uri(_folder.File("run/report.html")).AbsoluteUri);

        await page.Keyboard.PressAsync("Tab");
        (await page.EvaluateAsync<string>("document.activeElement.className")).ShouldBe("skip");
        await page.GetByRole(AriaRole.Radio, new() { Name = "Light" }).FocusAsync();
        await page.Keyboard.PressAsync("ArrowRight");
        (await page.EvaluateAsync<string>("getComputedStyle(document.documentElement).colorScheme")).ShouldBe("dark");

        ILocator details = page.GetByText("All epochs as a table");
        await details.FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        (await page.GetByRole(AriaRole.Table, new() { Name = "Epochs" }).Locator("tbody tr").CountAsync()).ShouldBe(2);

        ILocator confusion = page.GetByRole(AriaRole.Img, new() { NameRegex = new Regex("^val: .* at threshold") });
        string? matrix = await confusion.GetAttributeAsync("aria-label");
        Regex.Count(matrix!, "[0-9]+ of [0-9]+ clips? (non)?violent called (non)?violent").ShouldBe(4, matrix);
        browser.Complaints.ShouldBeEmpty();
    }

    [Fact]
    public void Runs_are_compared_and_the_page_has_the_name_asked_for()
    {
        Train("one").ExitCode.ShouldBe(0);
        Train("two", "--model", "gru-attention").ExitCode.ShouldBe(0);

        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "report", "one", "two", "--output", "both.html");

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

        CommandOutcome damaged = CommandRunner.RunIn(_folder.Path, [], "report", "run");
        CommandOutcome none = CommandRunner.RunIn(_folder.Path, [], "report", "features");
        CommandOutcome nothing = CommandRunner.RunIn(_folder.Path, [], "report");

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
