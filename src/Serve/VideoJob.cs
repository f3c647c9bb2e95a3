using System.Security.Cryptography;

namespace CudaTrainer.Serve;

/// <summary>Where a video is on its way.</summary>
internal enum JobState
{
    Queued,
    Running,
    Done,
    Failed,
}

/// <summary>One uploaded video. What can change belongs to <see cref="VideoQueue"/>, which guards it.</summary>
/// <param name="id">From <see cref="NewId"/>.</param>
/// <param name="file">Where the upload is kept until the answer is there.</param>
internal sealed class VideoJob(string id, string file)
{
    private const int IdBytes = 16;

    // Without timer or wait handle it holds nothing that would have to be disposed of, and it may be cancelled at any time.
    private readonly CancellationTokenSource _stop = new();

    /// <summary>128 random bits in lower-case hexadecimal: only who uploaded a video knows it.</summary>
    public string Id => id;

    public string File => file;

    /// <summary>As the uploader called it; for display, never a path.</summary>
    public required string Name { get; init; }

    /// <summary>Size of the upload.</summary>
    public required long Bytes { get; init; }

    /// <summary>Whose list it is in; null for nobody's.</summary>
    public string? Owner { get; init; }

    public DateTimeOffset Uploaded { get; init; }

    public JobState State { get; set; }

    /// <summary>Seconds of the video that are done.</summary>
    public double Progress { get; set; }

    public VideoResult? Result { get; set; }

    public JobError? Error { get; set; }

    /// <summary>Timestamp of the clock when it ended.</summary>
    public long Ended { get; set; }

    /// <summary>Cancelled when somebody deletes the video.</summary>
    public CancellationToken Stop => _stop.Token;

    public static string NewId() => RandomNumberGenerator.GetHexString(2 * IdBytes, lowercase: true);

    public static bool IsId(ReadOnlySpan<char> text) => text.Length == 2 * IdBytes && !text.ContainsAnyExcept("0123456789abcdef");

    public void Cancel() => _stop.Cancel();
}
