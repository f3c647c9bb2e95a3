namespace CudaTrainer.Data.Cache;

/// <summary>Failures of a video that say more about the moment than about the video.</summary>
internal static class FailureStatus
{
    /// <summary>Decoding took longer than allowed.</summary>
    public const string TimedOut = "timed out";

    /// <summary>Reading the file failed.</summary>
    public const string ReadError = "read error";

    /// <summary>Whether the next session should try again although the file has not changed.</summary>
    public static bool IsTransient(string status) => status is TimedOut or ReadError;
}
