using System.Globalization;
using CudaTrainer.Engine.Training;
using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>Predictions on standard output.</summary>
internal static class PredictionReport
{
    public static void WriteTable(Terminal terminal, IReadOnlyList<Prediction> predictions)
    {
        TextTable table = new(">p(violent)", "label", "video");
        foreach (var prediction in predictions)
        {
            table.Row(
                prediction.Violent is { } violent ? MetricText.Fraction(violent) : "-",
                new Cell(prediction.Label ?? prediction.Status, Style(prediction)),
                prediction.Error is null ? prediction.Path : $"{prediction.Path}: {prediction.Error}");
        }

        table.Write(terminal.Results);
    }

    public static void WriteCsv(TextWriter output, IReadOnlyList<Prediction> predictions)
    {
        output.WriteLine("path,violent,label,threshold,status,error");
        foreach (var prediction in predictions)
        {
            string violent = prediction.Violent?.ToString("R", CultureInfo.InvariantCulture) ?? "";
            string threshold = prediction.Threshold.ToString("R", CultureInfo.InvariantCulture);
            output.WriteLine(string.Join(',', Field(prediction.Path), violent, prediction.Label, threshold, prediction.Status, Field(prediction.Error ?? "")));
        }
    }

    private static Style Style(Prediction prediction) => prediction.Violent is null
        ? new Style(Color.Yellow)
        : new Style(prediction.Violent >= prediction.Threshold ? Color.Red : Color.Green);

    /// <summary>A field as RFC 4180 has it.</summary>
    private static string Field(string text) =>
        text.AsSpan().ContainsAny(",\"\n\r") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
}
