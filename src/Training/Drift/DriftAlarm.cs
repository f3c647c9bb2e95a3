namespace CudaTrainer.Training.Drift;

/// <summary>Something that a camera shows, or that the model makes of it, has left what the model fits.</summary>
/// <param name="Quantity">As in <see cref="DriftReference.Quantities"/>, or <see cref="ClassRate"/>.</param>
/// <param name="Sentence">For people.</param>
/// <param name="Since">Start of the first window that shows it, in the time of the observations.</param>
/// <param name="Value">Median of the latest windows; of a class the share of them.</param>
/// <param name="Low">The training clips have at least this, but for one in a hundred; of a class the usual share.</param>
/// <param name="High">They have at most this, but for one in a hundred; of a class the usual share.</param>
public sealed record DriftAlarm(string Quantity, string Sentence, double Since, double Value, double Low, double High)
{
    /// <summary>How often the model calls windows by a class.</summary>
    public const string ClassRate = "class_rate";

    /// <summary>That windows are called; null where it is about something else.</summary>
    public string? Class { get; init; }
}

/// <summary>A quantity as it is now.</summary>
/// <param name="Quantity">As in <see cref="DriftReference.Quantities"/>.</param>
/// <param name="Title">For people, with the unit.</param>
/// <param name="Reference">Of the training clips.</param>
/// <param name="Windows">How many of the latest tell it.</param>
/// <param name="Value">Their median; NaN without any.</param>
public sealed record DriftReading(string Quantity, string Title, QuantileSketch Reference, int Windows, double Value);
