using System.Text;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.RunFiles;

/// <summary>What a command writes into a file that the user names.</summary>
internal enum OutputKind
{
    /// <summary>A page, which an older one makes room for.</summary>
    Page,

    /// <summary>An ensemble, which an older one makes room for.</summary>
    Ensemble,

    /// <summary>A video, which an older one makes room for.</summary>
    Video,

    /// <summary>A model: hours of work, which nothing replaces unasked.</summary>
    Model,
}

/// <summary>Looks at the place of an output before any work is done: a slip of the keyboard must not cost a file, nor the work.</summary>
internal static class OutputFile
{
    private const int HeadBytes = 512;

    /// <param name="path">As the user wrote it.</param>
    /// <param name="overwrite">Whether the user wants whatever is there replaced.</param>
    /// <param name="setting">Property that named the file.</param>
    /// <exception cref="RunException">The folder is missing, or something is there that must not be replaced.</exception>
    public static void Require(string path, OutputKind kind, bool overwrite, string setting)
    {
        string choose = $"Choose another name for {SettingName.Of(setting)}";
        if (Directory.Exists(path))
        {
            throw new RunException($"'{path}' is a folder.", $"Name a file for {SettingName.Of(setting)}.");
        }

        // The folder of an ensemble is made, as that of a run is.
        if (kind != OutputKind.Ensemble && !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
        {
            throw new RunException($"The folder of '{path}' does not exist.", $"Make it, or c{choose[1..]}.");
        }

        switch (FileFacts.Of(path))
        {
            case { Kind: FileKind.Special }:
                throw new RunException($"'{path}' is no regular file and cannot be replaced by one.", $"{choose}.");
            case { Kind: FileKind.Regular, Bytes: > 0 } when !overwrite && !MakesRoom(path, kind):
                throw new RunException(
                    kind == OutputKind.Model ? $"'{path}' is there already." : $"'{path}' is there already, and it is no {NameOf(kind)}.",
                    $"{choose}, or give {SettingName.Of(nameof(TrainingOptions.Overwrite))} to replace it.");
        }
    }

    private static string NameOf(OutputKind kind) => kind switch
    {
        OutputKind.Page => "HTML page",
        OutputKind.Ensemble => "ensemble",
        _ => "video",
    };

    private static bool MakesRoom(string path, OutputKind kind) => kind switch
    {
        OutputKind.Page => IsPage(Head(path)),
        OutputKind.Ensemble => IsEnsemble(path),
        OutputKind.Video => IsVideo(Head(path)),
        _ => false,
    };

    private static bool IsPage(byte[] head)
    {
        string text = Encoding.UTF8.GetString(head).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');
        return text.StartsWith("<!doctype html", StringComparison.OrdinalIgnoreCase)
            || text.StartsWith("<html", StringComparison.OrdinalIgnoreCase);
    }

    private static bool IsEnsemble(string path)
    {
        try
        {
            _ = Ensemble.Read(path);
            return true;
        }
        catch (RunException)
        {
            return false;
        }
    }

    /// <summary>The containers that copies are written in: MP4 and its kin, AVI, Matroska and WebM, FLV, MPEG, ASF.</summary>
    private static bool IsVideo(ReadOnlySpan<byte> head) =>
        (head.Length >= 12 && head[4..8].SequenceEqual("ftyp"u8))
        || (head.Length >= 12 && head.StartsWith("RIFF"u8) && head[8..12].SequenceEqual("AVI "u8))
        || head.StartsWith<byte>([0x1a, 0x45, 0xdf, 0xa3]) || head.StartsWith("FLV"u8) || head.StartsWith<byte>([0, 0, 1, 0xba])
        || head.StartsWith<byte>([0x30, 0x26, 0xb2, 0x75]);

    /// <summary>Nothing of a file that cannot be read, which then is of no kind.</summary>
    private static byte[] Head(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            byte[] head = new byte[HeadBytes];
            return head[..stream.ReadAtLeast(head, HeadBytes, throwOnEndOfStream: false)];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
