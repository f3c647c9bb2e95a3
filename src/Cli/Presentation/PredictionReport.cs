using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Inference;
using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>Predictions on standard output.</summary>
internal static class PredictionReport
{
    private const string Header = "path,violent,label,threshold,status,error";
    private const string UncertaintyHeader = "dropout_mean,dropout_standard_deviation,entropy,mutual_information";
    private const string EventHeader = "path,start,end,peak,peak_time,threshold,release,status,error";

    public static void WriteTable(Terminal terminal, IReadOnlyList<Prediction> predictions)
    {
        bool hasViews = predictions.Any(prediction => prediction.Views is not null),
            hasUncertainty = predictions.Any(prediction => prediction.Uncertainty is not null);
        TextTable table = new(
            [">p(violent)", .. hasViews ? new[] { ">as it is" } : [],
            .. hasUncertainty ? new[] { ">with dropout", ">mutual information" } : [], "label", "video"]);
        foreach (Prediction prediction in predictions)
        {
            table.Row(
            [
                prediction.Violent is { } violent ? MetricText.Fraction(violent) : "-",
                .. hasViews ? new Cell[] { prediction.Views is { } views ? MetricText.Fraction(views[0]) : "-" } : [],
                .. hasUncertainty
                    ? new Cell[]
                    {
                        prediction.Uncertainty is { } answers
                            ? $"{MetricText.Fraction(answers.Mean)} ± {MetricText.Fraction(answers.StandardDeviation)}"
                            : "-",
                        prediction.Uncertainty is { } entropy ? MetricText.Loss(entropy.MutualInformation) : "-",
                    }
                    : [],
                new Cell((prediction.Label ?? prediction.Status) + (prediction.Unfamiliar == true ? ", unfamiliar" : ""),
                    Style(prediction)),
                (prediction.Error ?? prediction.Note) is { } said ? $"{prediction.Path}: {said}" : prediction.Path,
            ]);
        }

        table.Write(terminal.Results);
        if (predictions.Any(prediction => prediction.Unfamiliar == true))
        {
            terminal.Output.WriteLine("unfamiliar: unlike the clips that the model learned from, so that its answer is a guess");
        }

        if (hasViews)
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
        output.WriteLine((events ? EventHeader : hasUncertainty ? $"{Header},{UncertaintyHeader}" : Header) + (hasNotes ? ",note" : ""));
        foreach (Prediction prediction in predictions)
        {
            string note = hasNotes ? $",{CsvFile.Quote(prediction.Note ?? "")}" : "";
            string path = CsvFile.Quote(prediction.Path), error = CsvFile.Quote(prediction.Error ?? ""),
                threshold = Number(prediction.Threshold);
            if (!events)
            {
                output.WriteLine(string.Join(',', path, prediction.Violent is { } violent ? Number(violent) : "", prediction.Label,
                    threshold, prediction.Status, error) + (hasUncertainty ? Uncertainty(prediction) : "") + note);
                continue;
            }

            string rest = string.Join(',', threshold, Number(prediction.Release!.Value), prediction.Status, error) + note;
            if (prediction.Events!.Count == 0)
            {
                output.WriteLine($"{path},,,,,{rest}");
            }

            foreach ((double start, double end, double peak, double peakTime) in prediction.Events)
            {
                output.WriteLine(string.Join(',', path, Number(start), Number(end), Number(peak), Number(peakTime), rest));
            }
        }
    }

    private static void WriteEvents(Terminal terminal, IReadOnlyList<Prediction> predictions)
    {
        TextTable table = new(">from", ">to", ">peak", ">at", "video");
        foreach (Prediction prediction in predictions)
        {
            foreach ((double start, double end, double peak, double peakTime) in prediction.Events ?? [])
            {
                table.Row(MetricText.Time(start), MetricText.Time(end), MetricText.Fraction(peak), MetricText.Time(peakTime),
                    prediction.Path);
            }
        }

        table.Write(terminal.Results);
    }

    private static string Uncertainty(Prediction prediction) => prediction.Uncertainty is { } answers
        ? "," + string.Join(',', Number(answers.Mean), Number(answers.StandardDeviation), Number(answers.Entropy),
            Number(answers.MutualInformation))
        : ",,,,";

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private static Style Style(Prediction prediction) => prediction.Violent is null
        ? new Style(Color.Yellow)
        : new Style(prediction.Violent >= prediction.Threshold ? Color.Red : Color.Green);
}
