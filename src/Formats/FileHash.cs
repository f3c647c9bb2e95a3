using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>SHA-256 as 64 lower-case hexadecimal digits, as sha256sum prints it: the identity of what a file holds.</summary>
internal static class FileHash
{
    private const int BlockBytes = 1 << 20;

    /// <inheritdoc cref="InputFile.Open"/>
    /// <summary>The hash of a whole file, read once in blocks.</summary>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static string Sha256(string path, CancellationToken stop = default)
    {
        using SafeFileHandle handle = InputFile.Open(path);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] block = GC.AllocateUninitializedArray<byte>(BlockBytes);
        for (long offset = 0; RandomAccess.Read(handle, block, offset) is > 0 and var read; offset += read)
        {
            stop.ThrowIfCancellationRequested();
            hash.AppendData(block, 0, read);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public static string OfText(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
