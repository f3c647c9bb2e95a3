using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace CudaTrainer.Engine.Tests.Formats;

/// <summary>Reads a picture by the letter of the standard: chunks with their checksums, then rows with their filter.</summary>
internal static class PngDecoder
{
    /// <returns>[height, width, 3].</returns>
    public static byte[] Decode(byte[] file, int width, int height)
    {
        file.AsSpan(0, 8).SequenceEqual((byte[])[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]).ShouldBeTrue();
        List<string> types = [];
        byte[] deflated = [];
        for (int at = 8; at < file.Length;)
        {
            int length = BinaryPrimitives.ReadInt32BigEndian(file.AsSpan(at));
            Span<byte> typeAndData = file.AsSpan(at + 4, 4 + length);
            BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at + 8 + length)).ShouldBe(Crc(typeAndData));
            types.Add(Encoding.ASCII.GetString(typeAndData[..4]));
            if (types[^1] == "IHDR")
            {
                (BinaryPrimitives.ReadInt32BigEndian(typeAndData[4..]), BinaryPrimitives.ReadInt32BigEndian(typeAndData[8..]))
                    .ShouldBe((width, height));
                typeAndData[12..].ToArray().ShouldBe([8, 2, 0, 0, 0]);
            }
            else if (types[^1] == "IDAT")
            {
                deflated = typeAndData[4..].ToArray();
            }

            at += 12 + length;
        }

        types.ShouldBe(["IHDR", "IDAT", "IEND"]);
        using var rows = new ZLibStream(new MemoryStream(deflated), CompressionMode.Decompress);
        byte[] pixels = new byte[width * height * 3];
        for (int y = 0; y < height; y++)
        {
            rows.ReadByte().ShouldBe(1, "the filter");
            Span<byte> row = pixels.AsSpan(y * width * 3, width * 3);
            rows.ReadExactly(row);
            for (int i = 3; i < row.Length; i++)
            {
                row[i] += row[i - 3];
            }
        }

        rows.ReadByte().ShouldBe(-1);
        return pixels;
    }

    private static uint Crc(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in data)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                crc = ((crc ^ (uint)(value >> bit)) & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
            }
        }

        return ~crc;
    }
}
