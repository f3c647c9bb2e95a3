namespace CudaTrainer.Data.Dataset;

/// <summary>One video of a dataset.</summary>
/// <param name="Path">Absolute path.</param>
/// <param name="RelativePath">Path below the dataset's folder, with forward slashes; unique.</param>
/// <param name="Label">Index into the data set's <see cref="ClassList"/>.</param>
/// <param name="Source">What it was cut from. Clips of one source never go to two splits of an automatic split. The relative path when
/// unknown.</param>
/// <param name="ContentHash">SHA-256 of the file's bytes, 64 lower-case hexadecimal digits. With a <see cref="Fault"/>, of its relative
/// path.</param>
public sealed record Clip(string Path, string RelativePath, int Label, string Source, string ContentHash)
{
    /// <summary>A video that belongs to no dataset and has no label: to predict it, or for its features.</summary>
    public static Clip Of(string path) => new(path, path, 0, path, path);

    /// <summary>The name of its data set; null where there is one alone.</summary>
    public string? Dataset { get; init; }

    /// <summary>Why the file cannot even be read: one of <see cref="ClipFault"/>; null for a file worth decoding.</summary>
    public string? Fault { get; init; }

    /// <summary>Size of the file in bytes.</summary>
    public long Bytes { get; init; }

    /// <summary>Whether clips with an equal hash show the same video. Empty files are all equal and show nothing.</summary>
    internal bool HasContent => Fault is null && Bytes > 0;
}

/// <summary>Why a listed file is not opened at all. Short enough for a table's status column.</summary>
public static class ClipFault
{
    /// <summary>A FIFO, socket or device: opening it could block for ever.</summary>
    public const string NotRegularFile = "not a regular file";

    /// <summary>A link to nothing, or a name that the file system does not find again.</summary>
    public const string BrokenLink = "broken link";

    /// <summary>Reading failed: permissions or the disk.</summary>
    public const string Unreadable = "unreadable";
}

/// <summary>Something in the dataset's folder that is not part of the dataset.</summary>
/// <param name="RelativePath">Path below the dataset's folder; a folder ends with a slash.</param>
/// <param name="Reason">Why.</param>
public sealed record IgnoredFile(string RelativePath, string Reason);
