namespace CudaTrainer.Bench.Speed;

/// <summary>A row of the table of goals.</summary>
/// <param name="What">What is measured.</param>
/// <param name="Wanted">The goal.</param>
/// <param name="Measured">What it came to, with the figures that it was made from.</param>
/// <param name="IsReached">Whether that is the goal or better; null where it could not be measured.</param>
/// <param name="Bound">What bounds it, where it falls short.</param>
internal sealed record Goal(string What, string Wanted, string Measured, bool? IsReached, string Bound = "");
