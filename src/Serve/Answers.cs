using System.Text.Json.Serialization;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Serve;

/// <summary>Why something was not done.</summary>
/// <param name="Code">For programs, for example <c>too_large</c>.</param>
/// <param name="Message">For people.</param>
internal sealed record JobError(string Code, string Message);

/// <summary>What <c>GET /api/videos/{id}</c> answers.</summary>
/// <param name="State"><c>queued</c>, <c>running</c>, <c>done</c> or <c>failed</c>.</param>
/// <param name="Position">1 for the next one; null once it is at work.</param>
/// <param name="ProgressSeconds">Seconds of the video that are done.</param>
internal sealed record VideoStatus(string Id, string Name, long Bytes, DateTimeOffset Uploaded, JobState State, int? Position,
    double ProgressSeconds, JobError? Error, VideoResult? Result);

/// <summary>What <c>GET /api/videos</c> answers: newest first.</summary>
internal sealed record VideoList(IReadOnlyList<VideoSummary> Videos);

/// <summary>A <see cref="VideoStatus"/> without the details of its answer.</summary>
/// <param name="Label">Null while there is no answer.</param>
/// <param name="Score">p(violent), or the probability of the label; null while there is no answer.</param>
internal sealed record VideoSummary(string Id, string Name, long Bytes, DateTimeOffset Uploaded, JobState State, int? Position,
    double ProgressSeconds, JobError? Error, string? Label, double? Score);

/// <summary>The answer for one video; where <c>predict</c> with windows says the same as JSON, by the same names and numbers.</summary>
/// <param name="Violent">Null, as threshold and release, where the model tells other classes apart than the known pair.</param>
/// <param name="Label">Null where the video reaches the threshold of no class.</param>
/// <param name="Status"><c>ok</c>, or the kind of damage that ended the video early.</param>
/// <param name="Error">What was wrong with the file.</param>
/// <param name="Seconds">That the work took.</param>
internal sealed record VideoResult(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Violent,
    string? Label,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Threshold,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Release,
    string Status, string? Error,
    IReadOnlyList<WindowAnswer> Windows, IReadOnlyList<ViolenceEvent> Events, IReadOnlyList<FrameAnswer> Frames, VideoFacts Video,
    double Seconds)
{
    /// <summary>Mean over the windows of each class by its name; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Probabilities { get; init; }

    /// <summary>Of the classes that have one; null where none has.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Thresholds { get; init; }

    /// <summary>Whether the video is unlike what the model learned from; null if the model does not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Unfamiliar { get; init; }

    /// <summary>What makes the answer worth less although the video is whole; null if nothing does.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Note { get; init; }

    /// <summary>p(violent), or the probability of the label, or the largest where there is none.</summary>
    [JsonIgnore]
    public double Score => Violent ?? (Label is null ? Probabilities!.Values.Max() : Probabilities![Label]);

    /// <summary>The pictures behind <see cref="Frames"/>, as PNG files.</summary>
    internal IReadOnlyList<byte[]> Pictures { get; init; } = [];
}

/// <param name="Attention">Weight of each sampled frame, first to last, evenly over the window; null for models without attention.</param>
/// <param name="Violent">Null where the model tells other classes apart than the known pair.</param>
/// <param name="Smoothed">p(violent), or the probability of <paramref name="Label"/>.</param>
/// <param name="Label">Null for the known pair, as <paramref name="Probabilities"/>, and where the window is called nothing.</param>
internal sealed record WindowAnswer(
    double Start, double End,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Violent,
    double Smoothed, IReadOnlyList<double>? Attention,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Label,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, double>? Probabilities)
{
    public static WindowAnswer Of(WindowScore window, IReadOnlyList<double>? attention) => new(
        window.Start, window.End, window.Probabilities is null ? window.Violent : null, window.Smoothed, attention, window.Label,
        window.Probabilities);
}

/// <summary>A key frame.</summary>
/// <param name="Window">Number of its window, from 0.</param>
/// <param name="Violent">p(violent) of that window; null where the model tells other classes apart.</param>
/// <param name="Attention">Its weight in that window; null for models without attention.</param>
internal sealed record FrameAnswer(
    int Number, double Time, int Window,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Violent,
    double? Attention, int Width, int Height, string Url);

/// <summary>What decoding showed.</summary>
internal sealed record VideoFacts(int Width, int Height, double FrameRate, long Frames, double Duration, string Codec, string Container);

/// <summary>What <c>GET /api/health</c> answers.</summary>
/// <param name="Note">What whoever reads the numbers must know; null if there is nothing.</param>
internal sealed record Health(
    string Status, string Version, string Device, bool Simulated, string? Note, ModelFacts Model,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Threshold,
    double Window, double Stride, Limits Limits, QueueFacts Queue)
{
    /// <summary>By label; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Classes { get; init; }

    /// <summary>Of the classes that have one; null where none has.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Thresholds { get; init; }
}

internal sealed record ModelFacts(string Name, string File, int Epoch, int Frames, bool Attention, string Backbone);

internal sealed record Limits(long UploadBytes, double Seconds, int Queue, double KeepMinutes);

internal sealed record QueueFacts(int Running, int Waiting);

/// <summary>What <c>/healthz</c> answers.</summary>
internal sealed record Probe(string Status);

/// <summary>What <c>GET /api/run</c> answers.</summary>
/// <param name="Name">The folder's last part.</param>
/// <param name="State">For example <c>running</c>.</param>
/// <param name="Message">What is wrong; null if nothing is.</param>
/// <param name="Epoch">The last that has ended; 0 before the first.</param>
/// <param name="Epochs">That the run may take.</param>
/// <param name="RemainingSeconds">At most, by the last few epochs; null where nobody trains.</param>
/// <param name="Updated">When the last epoch ended.</param>
/// <param name="BestEpoch">Null while the run is not finished.</param>
internal sealed record RunAnswer(string Name, RunStage State, string? Message, int Epoch, int Epochs, double? RemainingSeconds,
    DateTimeOffset? Updated, int? BestEpoch, IReadOnlyList<EpochAnswer> History);

/// <summary>A row of training_history.csv; null where it has no number.</summary>
internal sealed record EpochAnswer(int Epoch, double? Seconds, double? Lr, double? Loss, double? Accuracy, double? ValLoss,
    double? ValAccuracy, double? ValBalancedAccuracy, double? ValAuc);
