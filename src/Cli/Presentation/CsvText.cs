namespace CudaTrainer.Cli.Presentation;

/// <summary>CSV as RFC 4180 has it.</summary>
internal static class CsvText
{
    /// <summary>A field, quoted if it must be.</summary>
    public static string Field(string text) =>
        text.AsSpan().ContainsAny(",\"\n\r") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
}
