using System.Buffers.Binary;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Engine.Tests.Video;

/// <summary>Media that the tests make for themselves, in a folder that goes with them.</summary>
public sealed class Clips : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("video-tests-").FullName;

    public string PathOf(string name) => Path.Combine(Folder, name);

    /// <summary>A clip whose frame k is filled with <see cref="ColourOf"/>(k); lossless with the default codec.</summary>
    public string Coloured(string name, int frames, int width = 32, int height = 24, VideoCodec codec = VideoCodec.Ffv1) =>
        Write(name, frames, new VideoWriterOptions { Width = width, Height = height, Codec = codec, Quality = 100 }, Fill);

    /// <summary>A clip of moving texture, so that every frame has something to encode.</summary>
    public string Textured(
        string name, int frames, VideoCodec codec = VideoCodec.Mpeg4, int width = 96, int height = 64, bool fastStart = false) =>
        Write(
            name,
            frames,
            new VideoWriterOptions { Width = width, Height = height, Codec = codec, FastStart = fastStart },
            (frame, rgb) => Texture(frame, width, rgb));

    /// <param name="timeOf">When a frame is shown, with <see cref="VideoWriterOptions.HasTimes"/>.</param>
    public string Write(string name, int frames, VideoWriterOptions options, Action<int, Span<byte>> draw, Func<int, double>? timeOf = null)
    {
        string path = PathOf(name);
        using var writer = new VideoWriter(path, options);
        byte[] rgb = new byte[writer.FrameBytes];
        for (int frame = 0; frame < frames; frame++)
        {
            draw(frame, rgb);
            writer.AddFrame(rgb, timeOf?.Invoke(frame) ?? 0);
        }

        writer.Close();
        return path;
    }

    public string Bytes(string name, ReadOnlySpan<byte> content)
    {
        string path = PathOf(name);
        File.WriteAllBytes(path, content);
        return path;
    }

    /// <summary>The first part of a file, as an interrupted copy leaves it.</summary>
    public string Cut(string path, double fraction)
    {
        byte[] content = File.ReadAllBytes(path);
        return Bytes($"cut-{fraction:0.00}-{Path.GetFileName(path)}", content.AsSpan(0, (int)(content.Length * fraction)));
    }

    /// <summary>One second of a 16-bit mono tone.</summary>
    public static byte[] Wav()
    {
        const int rate = 8000;
        byte[] wav = new byte[44 + (2 * rate)];
        "RIFF"u8.CopyTo(wav);
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(4), wav.Length - 8);
        "WAVEfmt "u8.CopyTo(wav.AsSpan(8));
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(16), 16);
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(20), 1);
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(22), 1);
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(24), rate);
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(28), 2 * rate);
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(32), 2);
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(34), 16);
        "data"u8.CopyTo(wav.AsSpan(36));
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(40), 2 * rate);
        for (int i = 0; i < rate; i++)
        {
            BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(44 + (2 * i)), (short)(8000 * Math.Sin(i * 0.3)));
        }

        return wav;
    }

    public static (byte R, byte G, byte B) ColourOf(int frame) =>
        ((byte)(frame * 37), (byte)(255 - frame), (byte)(frame * 101));

    public static void Fill(int frame, Span<byte> rgb)
    {
        (byte r, byte g, byte b) = ColourOf(frame);
        for (int i = 0; i < rgb.Length; i += 3)
        {
            rgb[i] = r;
            rgb[i + 1] = g;
            rgb[i + 2] = b;
        }
    }

    public static void Texture(int frame, int width, Span<byte> rgb)
    {
        for (int i = 0; i < rgb.Length / 3; i++)
        {
            int x = (i % width) + (3 * frame);
            int y = i / width;
            rgb[3 * i] = (byte)(128 + (100 * Math.Sin(0.2 * x)));
            rgb[(3 * i) + 1] = (byte)(128 + (100 * Math.Sin(0.13 * y)));
            rgb[(3 * i) + 2] = (byte)((x * y) + (frame * 11));
        }
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
