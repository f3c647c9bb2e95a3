using System.Buffers.Binary;
using System.Text;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Synthetic;

/// <summary>Files that every real collection has and that must not stop a run.</summary>
internal static class BrokenClips
{
    public static IReadOnlyList<BrokenClip> Write(string dataset, IReadOnlyList<DemoClip> whole)
    {
        var random = Draws.Of(0, 3);
        BrokenClip Broken(bool violent, string name, VideoFault fault, ReadOnlySpan<byte> content)
        {
            var sameClass = whole.Where(clip => clip.IsViolent == violent).ToList();
            string path = Path.Combine(dataset, DemoClips.FolderOf(violent), name);
            File.WriteAllBytes(path, content);
            return new BrokenClip(path, violent, sameClass[random.Below(sameClass.Count)].Source, fault);
        }

        byte[] interrupted = File.ReadAllBytes(
            (whole.FirstOrDefault(clip => clip.IsViolent && clip.Path.EndsWith(".mp4", StringComparison.Ordinal)) ?? whole[0]).Path);
        return
        [
            Broken(true, "broken-empty.mp4", VideoFault.Empty, []),
            Broken(true, "broken-interrupted-copy.mp4", VideoFault.Truncated, interrupted.AsSpan(0, interrupted.Length * 3 / 5)),
            Broken(false, "broken-text.mp4", VideoFault.NotAVideo, Encoding.UTF8.GetBytes("404 Not Found\n")),
            Broken(false, "broken-sound-only.mp4", VideoFault.NoVideoStream, Silence()),
        ];
    }

    /// <summary>A second of silence: a WAV file whose extension lies.</summary>
    private static byte[] Silence()
    {
        const int rate = 8000, header = 44;
        byte[] wav = new byte[header + rate];
        "RIFF"u8.CopyTo(wav);
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(4), wav.Length - 8);
        "WAVEfmt "u8.CopyTo(wav.AsSpan(8));
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(16), 16); // size of this part
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(20), 1);  // PCM
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(22), 1);  // one channel
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(24), rate);
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(28), rate);
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(32), 1); // bytes a sample
        BinaryPrimitives.WriteInt16LittleEndian(wav.AsSpan(34), 8); // bits a sample
        "data"u8.CopyTo(wav.AsSpan(36));
        BinaryPrimitives.WriteInt32LittleEndian(wav.AsSpan(40), rate);
        wav.AsSpan(header).Fill(128);
        return wav;
    }
}
