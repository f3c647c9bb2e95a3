using System.Buffers.Binary;
using System.IO.Compression;

namespace CudaTrainer.Formats;

/// <summary>Pictures as PNG (ISO/IEC 15948): 8 bits a channel, RGB, deflated.</summary>
public static class PngFile
{
    private const int Channels = 3;
    private const int HeaderBytes = 13;

    private static readonly uint[] _crcTable = [.. Enumerable.Range(0, 256).Select(TableEntry)];

    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', (byte)'\r', (byte)'\n', 0x1a, (byte)'\n'];

    /// <param name="rgb">[height, width, 3], rows from the top.</param>
    public static byte[] Encode(ReadOnlySpan<byte> rgb, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfNotEqual(rgb.Length, (long)width * height * Channels);
        using var file = new MemoryStream();
        file.Write(Signature);
        Span<byte> header = stackalloc byte[HeaderBytes];
        header.Clear();
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], height);
        header[8] = 8;
        header[9] = 2;
        WriteChunk(file, "IHDR"u8, header);
        WriteChunk(file, "IDAT"u8, Deflate(rgb, width * Channels));
        WriteChunk(file, "IEND"u8, []);
        return file.ToArray();
    }

    private static byte[] Deflate(ReadOnlySpan<byte> rgb, int stride)
    {
        using var deflated = new MemoryStream();
        using (var stream = new ZLibStream(deflated, CompressionLevel.Optimal, leaveOpen: true))
        {
            Span<byte> row = new byte[1 + stride];

            // Filter 1: each byte as its difference to the same channel of the pixel to the left, which deflates better.
            row[0] = 1;
            for (int begin = 0; begin < rgb.Length; begin += stride)
            {
                ReadOnlySpan<byte> pixels = rgb.Slice(begin, stride);
                for (int i = 0; i < stride; i++)
                {
                    row[1 + i] = (byte)(pixels[i] - (i < Channels ? 0 : pixels[i - Channels]));
                }

                stream.Write(row);
            }
        }

        return deflated.ToArray();
    }

    private static void WriteChunk(Stream file, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        Span<byte> number = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        file.Write(number);
        file.Write(type);
        file.Write(data);
        BinaryPrimitives.WriteUInt32BigEndian(number, ~Crc(Crc(uint.MaxValue, type), data));
        file.Write(number);
    }

    private static uint Crc(uint crc, ReadOnlySpan<byte> data)
    {
        foreach (byte value in data)
        {
            crc = _crcTable[(byte)(crc ^ value)] ^ (crc >> 8);
        }

        return crc;
    }

    private static uint TableEntry(int index)
    {
        uint value = (uint)index;
        for (int bit = 0; bit < 8; bit++)
        {
            value = (value & 1) != 0 ? (value >> 1) ^ 0xEDB88320 : value >> 1;
        }

        return value;
    }
}
