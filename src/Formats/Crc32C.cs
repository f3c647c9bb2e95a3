using System.Numerics;
using System.Runtime.InteropServices;

namespace CudaTrainer.Formats;

/// <summary>CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's own instruction where it has one.</summary>
internal static class Crc32C
{
    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        uint crc = ~0u;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (ulong word in words)
        {
            crc = BitOperations.Crc32C(crc, word);
        }

        foreach (byte single in bytes[(words.Length * sizeof(ulong))..])
        {
            crc = BitOperations.Crc32C(crc, single);
        }

        return ~crc;
    }
}
