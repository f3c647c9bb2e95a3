using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Training.Features;

namespace CudaTrainer.Training.RunFiles;

/// <summary>
/// What a model learned from, so that nobody measures it on that: the first 8 bytes of the SHA-256 of each clip's content
/// (<see cref="IFeatureRows.ContentOf"/>), sorted. A clip is known by what it holds, whatever it is called.
/// </summary>
internal sealed class ClipContents
{
    private readonly ulong[] _sorted;

    private ClipContents(ulong[] sorted) => _sorted = sorted;

    public static ClipContents Of(IFeatureRows rows) =>
        new([.. Enumerable.Range(0, rows.Count).Select(row => Digest(rows.ContentOf(row))).Order()]);

    /// <returns>How many of the clips are among these.</returns>
    public int CountOf(IFeatureRows rows) =>
        Enumerable.Range(0, rows.Count).Count(row => Array.BinarySearch(_sorted, Digest(rows.ContentOf(row))) >= 0);

    /// <summary>For the metadata of a file.</summary>
    internal string ToText()
    {
        byte[] bytes = new byte[_sorted.Length * sizeof(ulong)];
        for (int i = 0; i < _sorted.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(i * sizeof(ulong)), _sorted[i]);
        }

        return Convert.ToBase64String(bytes);
    }

    /// <returns>Null for anything but <see cref="ToText"/>.</returns>
    internal static ClipContents? Parse(string text)
    {
        byte[] bytes = new byte[(text.Length / 4 * 3) + 3];
        if (!Convert.TryFromBase64String(text, bytes, out int length) || length % sizeof(ulong) != 0)
        {
            return null;
        }

        ulong[] sorted = new ulong[length / sizeof(ulong)];
        for (int i = 0; i < sorted.Length; i++)
        {
            sorted[i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(i * sizeof(ulong)));
        }

        Array.Sort(sorted);
        return new ClipContents(sorted);
    }

    private static ulong Digest(string content) =>
        BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(content)));
}
