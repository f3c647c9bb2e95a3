using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Cli.Commands;

internal sealed record TuneCommandOptions
{
    [Settings]
    public TuneOptions Tune { get; init; } = new();

    [Setting(SettingGroup.Output, "One JSON object on standard output, as tune.json has it")]
    public bool Json { get; init; }
}

/// <summary>Which options do best on somebody's own clips, and what searching for them is worth.</summary>
internal sealed class TuneCommand : CliCommand<TuneCommandOptions>
{
    public override string Name => "tune";

    public override string Summary =>
        "Searches options of training, chosen on validation parts and judged on clips that they have not seen.";

    public override IReadOnlyList<string> Usages => ["--dataset-path DIR [options]", "--features-dir DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Each fold of a cross-validation chooses for itself, on the validation part of its training part; its test part judges what was " +
            "chosen. What was given is the first trial. Features are extracted once.",
        "Writes tune.json, tune.csv, the page tune.html, and best.json: options for train --config. The same command goes on after a stop.",
    ];

    public override bool TakesConfig => true;

    protected override IEnumerable<OptionProblem> Validate(TuneCommandOptions options)
    {
        IReadOnlyList<OptionProblem> problems = options.Tune.Validate();
        return problems.Count > 0 ? problems : OfSpace(options.Tune);
    }

    protected override int Run(TuneCommandOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            RunHost.ShowWritten(terminal, observer, () => Tuning.Execute(options.Tune, Apply, observer, stop), options.Json,
                result => Write(result, terminal), options.Tune.Study.Output);
            return ExitCode.Ok;
        });

    private IEnumerable<OptionProblem> OfSpace(TuneOptions options)
    {
        foreach (KeyValuePair<string, string> setting in SearchSpace.Parse(options.Space).Extremes)
        {
            string? wrong;
            try
            {
                wrong = OptionValidation.Validate(Apply(options.Study.Run, [setting])).Select(problem => problem.Message).FirstOrDefault();
            }
            catch (FormatException exception)
            {
                wrong = exception.Message;
            }

            if (wrong is not null)
            {
                yield return new OptionProblem(nameof(TuneOptions.Space), $"{setting.Key} {setting.Value}: {wrong}");
            }
        }
    }

    private TrainingOptions Apply(TrainingOptions run, IEnumerable<KeyValuePair<string, string>> settings)
    {
        TuneCommandOptions options = new() { Tune = new TuneOptions { Study = new StudyOptions { Run = run with { } } } };
        foreach ((string name, string text) in settings)
        {
            Options.Single(option => option.SettingName == name).Set(options, text);
        }

        return options.Tune.Study.Run;
    }

    private static void Write(TuneResult result, Terminal terminal)
    {
        string[] names = [.. result.Trials.SelectMany(trial => trial.Settings.Keys).Distinct()];
        TextTable table = new([">trial", ">best in folds", ">validation AUC", ">epochs", .. names]);
        foreach (Trial trial in result.Trials.Take(10))
        {
            table.Row(
            [
                trial.Number == 0 ? "given" : trial.Number.ToString(CultureInfo.InvariantCulture),
                trial.Folds.ToString(CultureInfo.InvariantCulture), trial.ValidationAuc.ToString("0.000", CultureInfo.InvariantCulture),
                trial.Epochs == 0 ? "–" : trial.Epochs.ToString(CultureInfo.InvariantCulture),
                .. names.Select(name => (Cell)trial.Settings.GetValueOrDefault(name, "–")),
            ]);
        }

        table.Write(terminal.Results);
        terminal.Output.WriteLine();
        terminal.Output.WriteLine($"balanced accuracy on clips not seen: {Percent(result.Metrics.BalancedAccuracy)} with what was found, " +
            $"{Percent(result.Given.BalancedAccuracy)} with what was given");
        Interval gain = result.Gain.Interval;
        terminal.Output.WriteLine($"searching gains {Points(result.Gain.Value)} points (95% interval {Points(gain.Low)} to " +
            $"{Points(gain.High)}){(gain.Low > 0 ? "" : ": it does not surely help")}");
    }

    private static string Points(double value) => (100 * value).ToString("+0.0;-0.0;0.0", CultureInfo.InvariantCulture);

    private static string Percent(Estimate estimate)
    {
        string low = MetricText.Percent(estimate.Interval.Low), high = MetricText.Percent(estimate.Interval.High);
        return $"{MetricText.Percent(estimate.Value)} ({low} to {high})";
    }
}
