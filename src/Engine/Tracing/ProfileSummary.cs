using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tracing;

/// <param name="Stage"><c>extract</c> or <c>train</c>.</param>
/// <param name="Name">A layer, forward or backward, or what was waited for.</param>
/// <param name="Seconds">In all its calls.</param>
/// <param name="Share">Of the stage's wall time; null for what other threads did beside it.</param>
/// <param name="Calls">How often.</param>
public sealed record ProfileRow(string Stage, string Name, double Seconds, double? Share, int Calls);

/// <summary>Where the time of the profiled steps, and of an extraction in the same run, went.</summary>
/// <param name="Rows">By stage; what takes longest first, what happened beside it last.</param>
/// <param name="Sentences">For each stage the bottleneck and what to do about it.</param>
/// <param name="File">Of the spans, null where no file was written.</param>
/// <param name="Dropped">Spans that the file lacks because there were too many; the sums have them.</param>
public sealed record ProfileSummary(IReadOnlyList<ProfileRow> Rows, IReadOnlyList<string> Sentences, string? File, int Dropped)
{
    private const string Rest = "everything else";
    private const string Backward = " backward";

    internal static ProfileSummary Of(TraceRecorder trace, string? file)
    {
        List<ProfileRow> rows = [];
        List<string> sentences = [];
        foreach (IGrouping<string, (string Stage, string Name, SpanKind Kind, double Seconds, int Count)> stage
            in trace.Sums.GroupBy(sum => sum.Stage))
        {
            double whole = stage.Where(sum => sum.Kind == SpanKind.Whole).Sum(sum => sum.Seconds);
            (string Stage, string Name, SpanKind Kind, double Seconds, int Count)[] parts =
                stage.Where(sum => sum.Kind is not (SpanKind.Whole or SpanKind.Beside)).ToArray();
            rows.AddRange(parts.OrderByDescending(sum => sum.Seconds)
                .Select(sum => new ProfileRow(stage.Key, sum.Name, sum.Seconds, whole > 0 ? sum.Seconds / whole : null, sum.Count)));
            double rest = whole - parts.Sum(sum => sum.Seconds);
            if (whole > 0 && rest > 0)
            {
                rows.Add(new ProfileRow(stage.Key, Rest, rest, rest / whole,
                    stage.Where(sum => sum.Kind == SpanKind.Whole).Sum(sum => sum.Count)));
            }

            rows.AddRange(stage.Where(sum => sum.Kind == SpanKind.Beside)
                .Select(sum => new ProfileRow(stage.Key, sum.Name, sum.Seconds, null, sum.Count)));
            if (whole > 0 && parts.Length > 0)
            {
                sentences.Add(Bottleneck(stage.Key, whole, [.. parts.Select(sum => (sum.Name, sum.Kind, sum.Seconds))]));
            }
        }

        return new ProfileSummary(rows, sentences, file, trace.Dropped);
    }

    /// <summary>A layer counts with its backward pass; the largest of all is named, and what helps against its kind.</summary>
    private static string Bottleneck(string stage, double whole, IReadOnlyList<(string Name, SpanKind Kind, double Seconds)> parts)
    {
        (SpanKind kind, double seconds) = parts.GroupBy(part => part.Kind).Select(group => (group.Key, group.Sum(part => part.Seconds)))
            .MaxBy(group => group.Item2);
        string share = Percent(seconds / whole);
        if (kind == SpanKind.Compute)
        {
            (string layer, double longest) = parts.Where(part => part.Kind == SpanKind.Compute)
                .GroupBy(part => part.Name.EndsWith(Backward, StringComparison.Ordinal) ? part.Name[..^Backward.Length] : part.Name)
                .Select(group => (group.Key, group.Sum(part => part.Seconds))).MaxBy(group => group.Item2);
            string advice = stage == "extract"
                ? $"it is done once and cached; {SettingName.Of("Threads")} for all cores, {SettingName.Of("Device")} cuda where there " +
                    "is a GPU"
                : $"{SettingName.Of("Threads")} for all cores, {SettingName.Of("Device")} cuda where there is a GPU; a smaller " +
                    $"{SettingName.Of("Model")} takes less";
            return $"{stage}: arithmetic is the bottleneck ({share} of the time), the longest of it {layer} " +
                $"({Percent(longest / whole)}): {advice}";
        }

        return kind switch
        {
            SpanKind.Wait when stage == "extract" =>
                $"{stage}: decoding is the bottleneck (the backbone waits for frames {share} of the time): raise " +
                    $"{SettingName.Of("Workers")}, or give " +
                    $"it more cores",
            SpanKind.Wait => $"{stage}: waiting for data is the bottleneck ({share} of the time): put the cache on a faster disk, or " +
                $"halve it with {SettingName.Of("FeatureDtype")} fp16",
            SpanKind.Update => $"{stage}: updating the parameters is the bottleneck ({share} of the time): a larger " +
                $"{SettingName.Of("BatchSize")} updates them less often",
            SpanKind.Exchange =>
                $"{stage}: adding up gradients is the bottleneck ({share} of the time): {SettingName.Of("AllreduceDtype")} fp16, a " +
                    "larger " +
                    $"{SettingName.Of("BatchSize")}, or fewer replicas",
            _ => $"{stage}: copying is the bottleneck ({share} of the time): {SettingName.Of("FeatureDtype")} fp16 halves it",
        };
    }

    private static string Percent(double share) => FormattableString.Invariant($"{100 * share:0} %");
}
