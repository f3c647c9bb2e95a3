using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>A run as a page: pure text out of pure data.</summary>
internal static class RunPage
{
    private const int ShownLeftOut = 200;

    /// <param name="pictures">Of the clips that <see cref="ChosenClips"/> names, as far as there are any.</param>
    /// <param name="filesAt">Where the run's files lie, as seen from the page: empty or ending with a slash.</param>
    /// <param name="more">Sections to show besides, before the last.</param>
    public static string Render(RunRecord run, ReportPictures pictures, string filesAt,
        IReadOnlyList<(string Id, string Heading, Markup Content)> more)
    {
        ChosenClips? clips = ChosenClips.Of(run);
        List<(string, string, Markup)> sections = [("summary", "Summary", Summary(run)), ("data", "Data", Data(run, clips, pictures))];
        if (run.History.Count > 0 && !Classifiers.IsFitted(run.Options.Model))
        {
            sections.Add(("learning", "Learning", LearningSection.Render(run)));
        }

        if (run.Result is not null)
        {
            sections.Add(("results", "Results", ResultSections.Metrics(run)));
        }

        if (run.Predictions.Count > 0)
        {
            sections.Add(("decisions", "Decisions", ResultSections.Decisions(run)));
        }

        if (clips is not null)
        {
            sections.Add(("clips", "Clips", ClipSection.Render(clips, pictures, run.Options.Frames, run.Classes)));
        }

        sections.AddRange(more);
        sections.Add(("run", "The run", Run(run, filesAt)));
        string when = run.Result?.Environment is { } environment ? $" · {environment.Finished:yyyy-MM-dd HH:mm} UTC" : string.Empty;
        return Page.Render($"Training run {run.Name}",
            HtmlBuilder.Piece($"{run.Options.Model} on {run.Options.FeaturesDir ?? (run.Options.Datasets.Count > 0 ? run.Options.DatasetText : "unknown data")}{when}"),
            sections);
    }

    /// <summary>The value of an option, for a person.</summary>
    internal static string Value(Setting setting, TrainingOptions options) =>
        setting.Shown(options) is { Length: > 0 } value ? value : "not set";

    /// <summary>The options whose value differs from the default, as one would type them.</summary>
    private static IEnumerable<(string Option, string Value)> Changed(TrainingOptions options)
    {
        TrainingOptions usual = new();
        return Setting.Of(typeof(TrainingOptions)).Where(setting => setting.TextIn(options) != setting.TextIn(usual))
            .Select(setting => (SettingName.Of(setting.Property.Name), Value(setting, options)));
    }

    private static Markup Summary(RunRecord run)
    {
        var html = new HtmlBuilder();
        if (run.Result is not { Val: { } val } result)
        {
            html.Add($"<div class=\"verdict\"><p>This run has not finished: {Numbers.Plural(run.History.Count, "epoch")} of {run.Options.Epochs} so far, and no results yet.</p></div>");
            return html.ToMarkup();
        }

        bool tested = result.Test is not null;
        ClassificationMetrics metrics = result.Test ?? val;
        Verdict verdict = Verdict.Of(metrics);
        string kind = verdict.Learned ? "good" : "bad";
        Markup sentence = Sentence(run, result, metrics, tested), caveats = Caveats(run, result, tested);
        string? comparison = result.Yardstick?.Compare(val, result.Test);
        html.Add($"<div class=\"verdict {kind}\"><p>{sentence} {verdict.Text} {comparison}</p>{caveats}</div>");
        string split = tested ? "test" : "val";
        html.Add($"<dl class=\"tiles\">");
        Tile($"Accuracy ({split})", Numbers.Percent(metrics.Accuracy), $"larger class: {Numbers.Percent(metrics.MajorityBaseline)}");
        Tile($"Balanced accuracy ({split})", Numbers.Percent(metrics.BalancedAccuracy),
            $"guessing: {Numbers.Percent(1.0 / run.Classes.Count)}");
        Tile($"ROC-AUC ({split})", Numbers.Fraction(metrics.Auc), "guessing: 0.500");
        if (metrics.PerClass is { } classes)
        {
            ClassMetrics weakest = classes.MinBy(one => one.F1)!;
            Tile($"Macro F1 ({split})", Numbers.Percent(metrics.F1), $"mean over {classes.Count} classes");
            Tile("Weakest class", weakest.Name, $"F1 {Numbers.Percent(weakest.F1)}");
        }
        else
        {
            Tile("Violent clips found", Numbers.Percent(metrics.Recall),
                $"{metrics.ConfusionMatrix[1][1]} of {metrics.ConfusionMatrix[1].Sum()} (recall)");
            Tile("Alarms that were right", Numbers.Percent(metrics.Precision),
                $"{metrics.ConfusionMatrix[1][1]} of {metrics.ConfusionMatrix[0][1] + metrics.ConfusionMatrix[1][1]} (precision)");
        }

        if (!Classifiers.IsFitted(run.Options.Model))
        {
            Tile("Best epoch", $"{result.BestEpoch}",
                $"of {result.Epochs}{(result.StoppedEarly ? ", stopped early" : string.Empty)}; {result.Monitor} " +
                    $"{Numbers.General(result.BestValue)}");
        }

        html.Add($"</dl>");
        return html.ToMarkup();

        void Tile(string name, string value, string aside) =>
            html.Add($"<div><dt>{name}</dt><dd><span class=\"value\">{value}</span><br><span class=\"aside\">{aside}</span></dd></div>");
    }

    private static Markup Sentence(RunRecord run, TrainingResult result, ClassificationMetrics metrics, bool tested)
    {
        (double low, double high) = Interval.OfShare(metrics.Accuracy, metrics.Count);
        string clips = tested
            ? $"{metrics.Count:#,0} test clips, which it never saw in training,"
            : $"{metrics.Count:#,0} validation clips";
        string model = Classifiers.IsFitted(run.Options.Model) ? "fitted model" : $"best checkpoint (epoch {result.BestEpoch})";
        return HtmlBuilder.Piece(
            $"On the {clips} the {model} names " +
                $"<strong>{Numbers.Percent(metrics.Accuracy)}</strong> rightly (95 % interval {Numbers.Whole(low)}–{Numbers.Whole(high)} " +
                $"%); always naming the larger class would be right for <strong>{Numbers.Percent(metrics.MajorityBaseline)}</strong>.");
    }

    /// <summary>What makes the headline figure worth less than it looks.</summary>
    private static Markup Caveats(RunRecord run, TrainingResult result, bool tested)
    {
        List<string> caveats = [];
        if (!tested)
        {
            caveats.Add("There is no test split: epoch and threshold were chosen on these very clips, which flatters the figure.");
        }

        if (result.Backbone.Contains("random", StringComparison.OrdinalIgnoreCase))
        {
            caveats.Add("The backbone has random weights, so these figures say little about what the method can do; give " +
                $"{SettingName.Of(nameof(TrainingOptions.Weights))} for real work.");
        }

        if (run.History.FirstOrDefault(row => row.Epoch == result.BestEpoch) is { } best && best["accuracy"] - best["val_accuracy"] > 0.1)
        {
            caveats.Add($"It named {Numbers.Percent(best["accuracy"])} of its training clips rightly but " +
                $"{Numbers.Percent(best["val_accuracy"])} of the validation clips: part of what it learned is by heart.");
        }

        return caveats.Count == 0 ? new Markup(string.Empty) : HtmlBuilder.Piece($"<p>{string.Join(" ", caveats)}</p>");
    }

    private static Markup Data(RunRecord run, ChosenClips? clips, ReportPictures pictures)
    {
        var html = new HtmlBuilder();
        IReadOnlyList<SplitSummary> splits = run.Result?.Data ?? [];
        if (splits.Count == 0)
        {
            html.Add($"<p>{(run.Result is null ? "The table of splits is written when the run has finished." : "This run did not note its splits.")}</p>");
        }
        else
        {
            string[] classes = [.. splits[0].Clips.Keys];
            string[] share = run.Classes.IsViolence ? [">violent share"] : [];
            html.Add(Page.Table("Splits",
                ["split", ">clips", .. classes.Select(name => ">" + name), .. share, ">sources", ">left out"],
                splits.Select(split => (IReadOnlyList<Markup>)
            [
                Page.Text(split.Split),
                Page.Text(Numbers.Count(split.Clips.Values.Sum())),
                .. classes.Select(name => Page.Text(Numbers.Count(split.Clips.GetValueOrDefault(name)))),
                .. share.Select(_ => Page.Text(Numbers.Percent((double)split.Violent / (split.Nonviolent + split.Violent)))),
                Page.Text(split.Sources is { } sources ? Numbers.Count(sources) : "unknown"),
                Page.Text(Numbers.Count(split.LeftOut.Count)),
            ])));
            AddLeftOut(html, splits);
        }

        if (clips is not null && clips.Examples.Any(clip => pictures.Stills.ContainsKey(clip.Path)))
        {
            html.Add($"<h3>Some clips of the {clips.Split} split</h3><ul class=\"stills\">");
            foreach (ClipPrediction clip in clips.Examples.Where(clip => pictures.Stills.ContainsKey(clip.Path)))
            {
                Picture still = pictures.Stills[clip.Path];
                html.Add($"<li><img src=\"{still.Source}\" width=\"{still.Width}\" height=\"{still.Height}\" alt=\"A frame of {clip.Path}\">{ClipSection.Tag(run.Classes, clip.Label)} {Page.Path(clip.Path)}</li>");
            }

            html.Add($"</ul>");
        }

        if (pictures.Shortage is { } shortage)
        {
            html.Add($"<p class=\"note\">{shortage}</p>");
        }

        return html.ToMarkup();
    }

    private static void AddLeftOut(HtmlBuilder html, IReadOnlyList<SplitSummary> splits)
    {
        (string Split, LeftOutClip Clip)[] all = [.. splits.SelectMany(split => split.LeftOut.Select(clip => (split.Split, clip)))];
        if (all.Length == 0)
        {
            return;
        }

        string reasons = string.Join(", ",
            all.GroupBy(left => left.Clip.Reason).OrderByDescending(group => group.Count())
            .Select(group => $"{group.Count()} {group.Key}"));
        html.Add($"<p>{Numbers.Plural(all.Length, "clip")} could not be used: {reasons}.</p>");
        string shown = all.Length > ShownLeftOut ? $"The first {ShownLeftOut} of them" : "Which they are";
        html.Add(Page.Details(shown,
            Page.Table("Clips left out", ["clip", "split", "class", "reason"], all.Take(ShownLeftOut).Select(left => (IReadOnlyList<Markup>)
            [Page.Path(left.Clip.Path), Page.Text(left.Split), Page.Text(left.Clip.Label), Page.Text(left.Clip.Reason)]))));
    }

    private static Markup Run(RunRecord run, string filesAt)
    {
        var html = new HtmlBuilder();
        html.Add($"<h3>To get the same again</h3>");
        html.Add($"<pre tabindex=\"0\">cudatrainer train --config {ShellWord.Quote(Path.Combine(run.Folder, RunFolder.ConfigName))} " +
            $"{SettingName.Of(nameof(TrainingOptions.CheckpointDir))} {ShellWord.Quote(run.Folder.TrimEnd('/') + "-again")}</pre>");
        html.Add($"<p class=\"note\">One click selects it. To be run where this run was started: relative paths count from there. On a CPU with the same vector instructions it gives the same bits.</p>");
        html.Add($"<div class=\"cards\"><div>");
        if (run.Result is { } result)
        {
            double total = result.Stages.Values.Sum();
            html.Add(Page.Table("Where the time went", ["stage", ">time", ">share", ""],
                result.Stages.Select(stage => (IReadOnlyList<Markup>)
            [
                Page.Text(stage.Key),
                Page.Text(Numbers.Duration(stage.Value)),
                Page.Text(Numbers.Percent(stage.Value / total)),
                HtmlBuilder.Piece($"<svg class=\"meter\" viewBox=\"0 0 100 9\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"rest\" width=\"100\" height=\"9\"/><rect class=\"part\" width=\"{100 * stage.Value / total:0.##}\" height=\"9\"/></svg>"),
            ])));
            html.Add($"<p class=\"note\">In training, steps waited for data {Numbers.Percent(result.StallFraction)} of the time.</p>");
            AddCommunication(html, result);
        }

        html.Add(Page.Table("Options that differ from the defaults", ["option", "value"],
            Changed(run.Options).Select(pair => (IReadOnlyList<Markup>)
            [HtmlBuilder.Piece($"<code class=\"path wide\">{pair.Option}</code>"), Page.Path(pair.Value)])));
        html.Add($"</div><div>");
        AddEnvironment(html, run);
        html.Add(Page.Table("Files", ["file", ">size"], run.Files.Select(file => (IReadOnlyList<Markup>)
            [HtmlBuilder.Piece($"<a href=\"{filesAt + Uri.EscapeDataString(file.Name)}\">{Page.Path(file.Name)}</a>"),
                Page.Text(Numbers.Size(file.Bytes))])));
        html.Add($"</div></div>");
        return html.ToMarkup();
    }

    private static void AddCommunication(HtmlBuilder html, TrainingResult result)
    {
        if (result.Communication is { } communication)
        {
            html.Add(Page.Table("Adding up gradients", ["", ">"], new (string, string)[]
            {
                ("replicas", Numbers.Count(communication.Replicas)),
                ("transport", communication.Transport),
                ("data a step", Numbers.Size((long)communication.BytesPerStep)),
                ("messages a step", Numbers.General(communication.MessagesPerStep)),
                ("time a step", Numbers.Duration(communication.SecondsPerStep)),
                ("of it beside computing", Numbers.Percent(communication.OverlapFraction)),
            }.Select(row => (IReadOnlyList<Markup>)[Page.Text(row.Item1), Page.Text(row.Item2)])));
        }
    }

    private static void AddEnvironment(HtmlBuilder html, RunRecord run)
    {
        List<(string, string)> facts = [];
        if (run.Result is { } result)
        {
            facts.AddRange([("device", result.Device), ("precision", result.Precision), ("backbone", result.Backbone)]);
        }

        facts.Add(("model", run.Options.Model));
        facts.Add(("seed", $"{run.Options.Seed}"));
        if (run.Result?.Environment is { } environment)
        {
            facts.AddRange(
            [
                ("CudaTrainer", environment.Version), (".NET", environment.Runtime), ("system", environment.System),
                ("processor", $"{environment.Processor}, {Numbers.Plural(environment.Cores, "core")}"),
                ("SIMD", environment.Simd),
            ]);
        }

        html.Add(Page.Table("Environment", ["", ""],
            facts.Select(fact => (IReadOnlyList<Markup>)[HtmlBuilder.Piece($"<span class=\"wide\">{fact.Item1}</span>"),
            Page.Text(fact.Item2)])));
    }
}
