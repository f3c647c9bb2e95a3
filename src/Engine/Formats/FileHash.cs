using System.Security.Cryptography;

namespace CudaTrainer.Engine.Formats;

/// <summary>Identifies files by their content.</summary>
public static class FileHash
{
    private const int BlockBytes = 1 << 20;

    /// <inheritdoc cref="InputFile.Open"/>
    /// <summary>SHA-256 of a whole file, read once in blocks.</summary>
    /// <returns>64 lower-case hexadecimal digits, as sha256sum prints them.</returns>
    public static string Sha256(string path)
    {
        using var handle = InputFile.Open(path);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var block = GC.AllocateUninitializedArray<byte>(BlockBytes);
        for (long offset = 0; RandomAccess.Read(handle, block, offset) is > 0 and var read; offset += read)
        {
            hash.AppendData(block, 0, read);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
