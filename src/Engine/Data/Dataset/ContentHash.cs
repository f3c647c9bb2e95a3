using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Engine.Formats;

namespace CudaTrainer.Engine.Data.Dataset;

/// <summary>SHA-256 as 64 lower-case hexadecimal digits: the identity of a video's content.</summary>
internal static class ContentHash
{
    private const int BufferBytes = 1 << 20;

    public static string OfText(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    /// <summary>Hashes a regular file.</summary>
    /// <exception cref="IOException">Reading failed.</exception>
    public static string OfFile(string path, CancellationToken cancellation)
    {
        using var handle = InputFile.Open(path);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            long offset = 0;
            while (RandomAccess.Read(handle, buffer, offset) is var read and > 0)
            {
                cancellation.ThrowIfCancellationRequested();
                hash.AppendData(buffer.AsSpan(0, read));
                offset += read;
            }

            return Convert.ToHexStringLower(hash.GetHashAndReset());
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
