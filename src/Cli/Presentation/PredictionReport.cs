using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Inference;
using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>Predictions on standard output.</summary>
internal static class PredictionReport
{
    private const string Header = "path,violent,label,threshold,status,error";
    private const string EventHeader = "path,start,end,peak,peak_time,threshold,release,status,error";

    public static void WriteTable(Terminal terminal, IReadOnlyList<Prediction> predictions)
    {
        string[] classes = ClassesOf(predictions);
        bool hasViews = predictions.Any(prediction => prediction.Views is not null),
            hasUncertainty = predictions.Any(prediction => prediction.Uncertainty is not null);
        TextTable table = new(
            [.. classes.Length == 0 ? [">p(violent)"] : classes.Select(name => $">p({name})"), .. hasViews ? new[] { ">as it is" } : [],
            .. hasUncertainty ? new[] { ">with dropout", ">mutual information" } : [], "label", "video"]);
        foreach (Prediction prediction in predictions)
        {
            table.Row(
            [
                .. Scores(prediction, classes).Select(score => new Cell(score is { } p ? MetricText.Fraction(p) : "-")),
                .. hasViews ? new Cell[] { prediction.Views is { } views ? MetricText.Fraction(views[0]) : "-" } : [],
                .. hasUncertainty
                    ? new Cell[]
                    {
                        prediction.Uncertainty is { } answers ? WithDropout(answers, prediction.Label) : "-",
                        prediction.Uncertainty is { } entropy ? MetricText.Loss(entropy.MutualInformation) : "-",
                    }
                    : [],
                new Cell(
                    (prediction.Label ?? (prediction.IsAnswered ? "-" : prediction.Status)) +
                        (prediction.Unfamiliar == true ? ", unfamiliar" : ""), Style(prediction)),
                (prediction.Error ?? prediction.Note) is { } said ? $"{prediction.Path}: {said}" : prediction.Path,
            ]);
        }

        table.Write(terminal.Results);
        if (predictions.Any(prediction => prediction is { IsAnswered: true, Label: null }))
        {
            terminal.Output.WriteLine("-: no class reaches its threshold");
        }

        if (predictions.Any(prediction => prediction.Unfamiliar == true))
        {
            terminal.Output.WriteLine("unfamiliar: unlike the clips that the model learned from, so that its answer is a guess");
        }

        if (hasViews || predictions.Any(prediction => prediction.ClassViews is not null))
        {
            terminal.Output.WriteLine(AugmentationText.Cost);
        }

        if (predictions.Any(prediction => prediction.Events is { Count: > 0 }))
        {
            terminal.Output.WriteLine();
            WriteEvents(terminal, predictions);
        }
    }

    /// <param name="events">One row per event, and one without times for a video that has none; otherwise one row per video.</param>
    public static void WriteCsv(TextWriter output, IReadOnlyList<Prediction> predictions, bool events)
    {
        bool hasUncertainty = predictions.Any(prediction => prediction.Uncertainty is not null),
            hasNotes = predictions.Any(prediction => prediction.Note is not null);
        string[] classes = ClassesOf(predictions);
        string threshold = predictions.Any(prediction => prediction.Thresholds is not null) ? "threshold," : "",
            release = threshold.Length > 0 ? "threshold,release," : "";
        string header = classes.Length == 0
            ? Header
            : $"path,{string.Join(',', classes.Select(name => CsvFile.Quote($"probability_{name}")))},label,{threshold}status,error";
        string eventHeader = classes.Length == 0 ? EventHeader : $"path,start,end,label,peak,peak_time,{release}status,error";
        output.WriteLine((events ? eventHeader : hasUncertainty ? $"{header},{UncertaintyHeader(classes)}" : header) +
            (hasNotes ? ",note" : ""));
        foreach (Prediction prediction in predictions)
        {
            string note = hasNotes ? $",{CsvFile.Quote(prediction.Note ?? "")}" : "";
            string path = CsvFile.Quote(prediction.Path), error = CsvFile.Quote(prediction.Error ?? "");
            if (!events)
            {
                string[] fields =
                [
                    path, .. Scores(prediction, classes).Select(score => score is { } p ? Number(p) : ""),
                    classes.Length == 0 ? prediction.Label ?? "" : CsvFile.Quote(prediction.Label ?? ""),
                    .. Threshold(prediction, prediction.Label), prediction.Status, error,
                ];
                output.WriteLine(string.Join(',', fields) + (hasUncertainty ? Uncertainty(prediction, classes) : "") + note);
                continue;
            }

            if (prediction.Events!.Count == 0)
            {
                output.WriteLine($"{path},,,,,{(classes.Length == 0 ? "" : ",")}{Rest(null)}");
            }

            foreach (ViolenceEvent happening in prediction.Events)
            {
                string[] label = classes.Length == 0 ? [] : [CsvFile.Quote(happening.Label!)];
                output.WriteLine(string.Join(',', [path, Number(happening.Start), Number(happening.End), .. label, Number(happening.Peak),
                    Number(happening.PeakTime), Rest(happening.Label)]));
            }

            string Rest(string? label) => string.Join(',',
                [.. Threshold(prediction, label), .. Release(prediction), prediction.Status, error]) + note;
        }

        // Of classes that have thresholds it is that of the one that is called.
        string[] Threshold(Prediction prediction, string? label) => classes.Length == 0 ? [Number(prediction.Threshold)]
            : threshold.Length == 0 ? []
            : [label is not null && prediction.Thresholds!.TryGetValue(label, out double own) ? Number(own) : ""];

        string[] Release(Prediction prediction) => classes.Length > 0 && threshold.Length == 0 ? []
            : [double.IsNaN(prediction.Release!.Value) ? "" : Number(prediction.Release.Value)];
    }

    private static void WriteEvents(Terminal terminal, IReadOnlyList<Prediction> predictions)
    {
        bool ofClasses = predictions.Any(prediction => prediction.Probabilities is not null);
        TextTable table = new([">from", ">to", .. ofClasses ? ["label"] : Array.Empty<string>(), ">peak", ">at", "video"]);
        foreach (Prediction prediction in predictions)
        {
            foreach (ViolenceEvent happening in prediction.Events ?? [])
            {
                table.Row(
                [
                    MetricText.Time(happening.Start), MetricText.Time(happening.End),
                    .. ofClasses ? [happening.Label ?? ""] : Array.Empty<Cell>(),
                    MetricText.Fraction(happening.Peak), MetricText.Time(happening.PeakTime), prediction.Path,
                ]);
            }
        }

        table.Write(terminal.Results);
    }

    private static string UncertaintyHeader(string[] classes) => (classes.Length == 0
        ? "dropout_mean,dropout_standard_deviation,"
        : string.Concat(classes.Select(name =>
            $"{CsvFile.Quote($"dropout_mean_{name}")},{CsvFile.Quote($"dropout_standard_deviation_{name}")},"))) +
        "entropy,mutual_information";

    private static string Uncertainty(Prediction prediction, string[] classes)
    {
        if (prediction.Uncertainty is not { } answers)
        {
            return new string(',', 2 + (2 * Math.Max(1, classes.Length)));
        }

        IEnumerable<double> numbers = answers.Classes is null
            ? [answers.Mean, answers.StandardDeviation]
            : classes.SelectMany(name => new[] { answers.Classes[name].Mean, answers.Classes[name].StandardDeviation });
        return string.Concat(numbers.Append(answers.Entropy).Append(answers.MutualInformation).Select(number => $",{Number(number)}"));
    }

    /// <summary>Of other classes than the known pair that of the one that is called, else of the likeliest.</summary>
    private static string WithDropout(DropoutUncertainty answers, string? label)
    {
        (double mean, double deviation) = answers.Classes is not { } classes
            ? new ClassUncertainty(answers.Mean, answers.StandardDeviation)
            : label is null ? classes.Values.MaxBy(one => one.Mean)! : classes[label];
        return $"{MetricText.Fraction(mean)} ± {MetricText.Fraction(deviation)}";
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>The classes of a model of others than the known pair; none of one of these, or where nothing was read.</summary>
    private static string[] ClassesOf(IReadOnlyList<Prediction> predictions) =>
        [.. predictions.Select(prediction => prediction.Probabilities).FirstOrDefault(each => each is not null)?.Keys ?? []];

    private static IEnumerable<double?> Scores(Prediction prediction, string[] classes) => classes.Length == 0
        ? [prediction.Violent]
        : classes.Select(name => prediction.Probabilities?[name]);

    private static Style Style(Prediction prediction) => !prediction.IsAnswered
        ? new Style(Color.Yellow)
        : prediction.Violent is null
            ? Spectre.Console.Style.Plain
            : new Style(prediction.Violent >= prediction.Threshold ? Color.Red : Color.Green);
}
