using System.Globalization;

namespace CudaTrainer.Engine.Tracing;

/// <summary>Training steps from one to another, both included, counted from 0 over all epochs.</summary>
public readonly record struct StepRange(long First, long Last)
{
    /// <summary>How it is written.</summary>
    public const string Form = "FIRST,LAST";

    public bool Contains(long step) => step >= First && step <= Last;

    /// <summary>Reads <c>10,20</c>, or <c>10</c> for one step.</summary>
    public static bool TryParse(string text, out StepRange range)
    {
        range = default;
        string[] parts = text.Split(',');
        if (parts.Length > 2 || !TryNumber(parts[0], out long first) || !TryNumber(parts[^1], out long last) || last < first)
        {
            return false;
        }

        range = new StepRange(first, last);
        return true;
    }

    private static bool TryNumber(string text, out long number) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
