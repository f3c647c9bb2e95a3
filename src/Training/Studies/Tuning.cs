using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Studies;

/// <summary>How a search spends its trainings.</summary>
public enum SearchMethod
{
    /// <summary>Short trainings for all, three times as long for the best third, and so on (Jamieson and Talwalkar, 2016).</summary>
    Halving,

    /// <summary>Whole trainings for all (Bergstra and Bengio, 2012).</summary>
    Random,
}

/// <summary>What is searched.</summary>
public sealed record TuneOptions
{
    [Settings]
    public StudyOptions Study { get; init; } = new() { Output = "./tune", Seeds = 1 };

    [Setting(SettingGroup.Model, "What is drawn, as NAME=FROM..TO, NAME=FROM..TO log or NAME=A,B,C with semicolons between; names are " +
        "options of training",
        Placeholder = "TEXT", Kind = "text")]
    public string Space { get; init; } = SearchSpace.Usual;

    [Setting(SettingGroup.Model, "Sets of options that are tried: what was given, and draws", AtLeast = 2, AtMost = 1000)]
    public int Trials { get; init; } = 18;

    [Setting(SettingGroup.Model, "halving: short trainings for all, longer ones for the best third; random: whole trainings for all")]
    public SearchMethod Search { get; init; }

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [.. OptionValidation.OfSettings(this), .. Study.Validate()];
        try
        {
            SearchSpace.Parse(Space);
        }
        catch (FormatException exception)
        {
            problems.Add(new(nameof(Space), exception.Message));
        }

        return problems;
    }
}

/// <summary>A set of options and what it has come to.</summary>
/// <param name="Number">0 is what was given.</param>
/// <param name="Settings">What was drawn, by name; empty for what was given.</param>
/// <param name="Epochs">Of its longest trainings; 0 where they take none.</param>
/// <param name="ValidationAuc">Mean over the folds in which it got so far.</param>
/// <param name="Folds">In how many folds it was the best on the validation part.</param>
public sealed record Trial(int Number, IReadOnlyDictionary<string, string> Settings, int Epochs, double ValidationAuc, int Folds);

/// <param name="Metrics">Of the answers to test parts by what was chosen on the validation part of their fold: what searching comes to
/// on clips of sources that it has not seen.</param>
/// <param name="Given">The same of the options as they were given.</param>
/// <param name="ValidationAuc">Of what was chosen, mean over the folds, where it was chosen: what is better there than on test parts is the
/// luck of having been chosen.</param>
/// <param name="Gain">Of searching, in balanced accuracy, paired by clips.</param>
/// <param name="Trials">The best first: by folds, then by area.</param>
public sealed record TuneResult(string Device, int Clips, int Sources, int Folds, int Seeds, SearchMethod Search, double ValidationAuc,
    StudyMetrics Metrics, StudyMetrics Given, Estimate Gain, IReadOnlyList<Trial> Trials)
{
    /// <summary>What to train with.</summary>
    public Trial Best => Trials[0];
}

/// <summary>
/// A search over options of training, nested in a cross-validation: in each fold options are chosen on the validation part, which is a part
/// of its training part, and only the answers of what was chosen are judged on its test part. Leaves tune.json, tune.csv, the page
/// tune.html and best.json, options for <c>train --config</c>; trainings that have ended are kept in runs.jsonl and not repeated.
/// </summary>
public static class Tuning
{
    internal const string PageName = "tune.html";

    /// <summary>The share that goes on is one in so many, and trains for so many times as long.</summary>
    private const int Factor = 3;

    /// <param name="apply">The options with settings given as texts.</param>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static TuneResult Execute(TuneOptions options,
        Func<TrainingOptions, IEnumerable<KeyValuePair<string, string>>, TrainingOptions> apply, IRunObserver observer,
        CancellationToken stop)
    {
        OptionValidation.Require(options.Study.Run);
        var space = SearchSpace.Parse(options.Space);
        using var study = new Study(options.Study, observer, stop);
        var random = new Random(options.Study.Run.Seed);
        IReadOnlyList<KeyValuePair<string, string>>[] drawn =
            [[], .. Enumerable.Range(1, options.Trials - 1).Select(_ => space.Draw(random))];
        TrainingOptions[] candidates = [.. drawn.Select(settings => apply(study.Options, settings))];
        int[] lengths = LengthsOf(options, study.Options.Epochs);
        study.ExpectTrainings(study.Folds.Count * options.Study.Seeds * (TrainingsOf(options.Trials, lengths.Length) + 1));

        // What goes on in each fold is that fold's own affair: another one's validation part has clips of this one's test part.
        List<int>[] left = [.. study.Folds.Select(_ => Enumerable.Range(0, candidates.Length).ToList())];
        var scores = new Dictionary<(int Fold, int Candidate), (int Epochs, double Auc, FoldRun[] Runs)>();
        foreach (int epochs in lengths)
        {
            (int Fold, int Candidate)[] pairs = [.. left.SelectMany((those, fold) => those.Select(candidate => (fold, candidate)))];
            FoldRun[][] runs = study.RunAll(
                [.. pairs.Select(pair => (Shortened(candidates[pair.Candidate], epochs, lengths[^1]), study.Folds[pair.Fold]))],
                $"{epochs} epochs", stop);
            foreach ((FoldRun[] ofPair, (int fold, int candidate)) in runs.Zip(pairs))
            {
                scores[(fold, candidate)] = (
                    Classifiers.IsFitted(candidates[candidate].Model) ? 0 : epochs, ofPair.Average(run => run.ValidationAuc), ofPair);
            }

            if (epochs != lengths[^1])
            {
                left = [.. left.Select((those, fold) => Best(those, fold).Take((those.Count + Factor - 1) / Factor).ToList())];
            }
        }

        int[] chosen = [.. left.Select((those, fold) => Best(those, fold).First())];
        StudyRow given = study.Run(candidates[0], "as given", stop);
        StudyRow tuned = study.Row([.. chosen.SelectMany((candidate, fold) => scores[(fold, candidate)].Runs)]);
        Trial[] trials = [.. drawn.Select((settings, candidate) => TrialOf(candidate, settings))
            .OrderByDescending(trial => trial.Folds).ThenByDescending(trial => trial.Epochs == 0 ? lengths[^1] : trial.Epochs)
            .ThenByDescending(trial => trial.ValidationAuc).ThenBy(trial => trial.Number)];
        var result = new TuneResult(
            study.DeviceKind, study.Clips.Count, study.Clips.Sources.Distinct(StringComparer.Ordinal).Count(), study.Folds.Count,
            options.Study.Seeds, options.Search, chosen.Select((candidate, fold) => scores[(fold, candidate)].Auc).Average(),
            tuned.Metrics, given.Metrics, study.Bootstrap.Gain(tuned.Answers, given.Answers), trials);
        UnwrittenResultException.Guard(result, () => Write(options.Study.Output, result, space));
        return result;

        IEnumerable<int> Best(List<int> those, int fold) =>
            those.OrderByDescending(candidate => scores[(fold, candidate)].Auc).ThenBy(candidate => candidate);

        Trial TrialOf(int candidate, IReadOnlyList<KeyValuePair<string, string>> settings)
        {
            var reached = study.Folds.Select((_, fold) => scores[(fold, candidate)]).ToList();
            int most = reached.Max(score => score.Epochs);
            return new Trial(candidate, settings.ToDictionary(), most,
                reached.Where(score => score.Epochs == most).Average(score => score.Auc), chosen.Count(one => one == candidate));
        }
    }

    /// <summary>Epochs of the trainings of each round, the last as many as were asked for.</summary>
    private static int[] LengthsOf(TuneOptions options, int epochs)
    {
        List<int> lengths = [epochs];
        int trials = options.Search == SearchMethod.Halving ? options.Trials : 0;
        while (trials > Factor && lengths[0] / Factor >= 1)
        {
            lengths.Insert(0, Math.Max(1, lengths[0] / Factor));
            trials = (trials + Factor - 1) / Factor;
        }

        return [.. lengths];
    }

    /// <summary>What happens at some epoch happens at the same share of a shorter training.</summary>
    private static TrainingOptions Shortened(TrainingOptions options, int epochs, int of) => options with
    {
        Epochs = epochs,
        WarmupEpochs = options.WarmupEpochs * epochs / of,
        SwaStart = options.SwaStart == 0 ? 0 : Math.Max(1, options.SwaStart * epochs / of),
    };

    private static int TrainingsOf(int trials, int rounds)
    {
        int trainings = 0;
        for (int round = 0; round < rounds; round++)
        {
            trainings += trials;
            trials = (trials + Factor - 1) / Factor;
        }

        return trainings;
    }

    private static void Write(string folder, TuneResult result, SearchSpace space)
    {
        AtomicFile.WriteAllText(Path.Combine(folder, "tune.json"), JsonSerializer.Serialize(result, TuneJson.Default.TuneResult) + "\n");
        AtomicFile.WriteAllText(Path.Combine(folder, "best.json"),
            JsonSerializer.Serialize(result.Best.Settings, TuneJson.Default.IReadOnlyDictionaryStringString) + "\n");
        var table = new StringBuilder("trial,folds,validation_auc,epochs");
        table.AppendJoin("", space.Names.Select(name => $",{name}")).Append('\n');
        foreach (Trial trial in result.Trials)
        {
            table.Append(CultureInfo.InvariantCulture, $"{trial.Number},{trial.Folds},{trial.ValidationAuc:R},{trial.Epochs}")
                .AppendJoin("", space.Names.Select(name => "," + CsvFile.Quote(trial.Settings.GetValueOrDefault(name, "")))).Append('\n');
        }

        AtomicFile.WriteAllText(Path.Combine(folder, "tune.csv"), table.ToString());
        AtomicFile.WriteAllText(Path.Combine(folder, PageName), TunePage.Render(result, space.Names));
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    UseStringEnumConverter = true, WriteIndented = true)]
[JsonSerializable(typeof(TuneResult))]
internal sealed partial class TuneJson : JsonSerializerContext;
