using System.Buffers.Binary;
using System.Text;

namespace CudaTrainer.Fuzzer;

/// <summary>Changes inputs at random; the same seed gives the same changes.</summary>
internal sealed class Mutator(ulong seed, IReadOnlyList<byte[]> words)
{
    /// <summary>Readers that take longer inputs take these as well, and the hunt is faster.</summary>
    private const int LongestInput = 1 << 17;

    private static readonly long[] Extremes =
        [0, 1, -1, 2, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 1 << 30, int.MaxValue, int.MinValue, uint.MaxValue, 1L << 32,
            1L << 40, long.MaxValue, long.MinValue, long.MaxValue / 2, long.MaxValue / 8 + 1];

    private static readonly string[] Numbers =
        ["0", "-1", "1", "255", "65536", "2147483647", "2147483648", "-2147483648", "4294967295", "4294967296", "9223372036854775807",
            "9223372036854775808", "1e999", "-1e999", "1.5", "NaN", "null", "true", "\"\"", "[]", "{}"];

    private ulong _state = seed;

    /// <summary>A number from 0 to below <paramref name="limit"/>.</summary>
    public int Below(int limit) => (int)(Next() % (ulong)limit);

    /// <param name="other">Another input, to take parts from.</param>
    public byte[] Mutate(byte[] input, byte[] other)
    {
        List<byte> bytes = [.. input];
        for (int changes = 1 << Below(6); changes > 0; changes--)
        {
            Change(bytes, other);
        }

        if (bytes.Count > LongestInput)
        {
            bytes.RemoveRange(LongestInput, bytes.Count - LongestInput);
        }

        return [.. bytes];
    }

    private void Change(List<byte> bytes, byte[] other)
    {
        if (bytes.Count == 0)
        {
            bytes.Add((byte)Below(256));
        }

        int at = Below(bytes.Count);
        switch (Below(13))
        {
            case 0:
                bytes[at] ^= (byte)(1 << Below(8));
                break;
            case 1:
                bytes[at] = (byte)Below(256);
                break;
            case 2:
                bytes[at] += (byte)(Below(32) - 16);
                break;
            case 3 or 4:
                Overwrite(bytes, at, Number());
                break;
            case 5:
                bytes.RemoveRange(at, Length(bytes.Count - at));
                break;
            case 6:
                bytes.InsertRange(Below(bytes.Count + 1), bytes.GetRange(at, Length(bytes.Count - at)));
                break;
            case 7:
                Overwrite(bytes, Below(bytes.Count), [.. bytes.GetRange(at, Length(bytes.Count - at))]);
                break;
            case 8 when other.Length > 0:
                int from = Below(other.Length);
                bytes.InsertRange(at, other.AsSpan(from, Length(other.Length - from)));
                break;
            case 9 when other.Length > 0:
                int start = Below(other.Length);
                Overwrite(bytes, at, other.AsSpan(start, Length(other.Length - start)));
                break;
            case 10 when words.Count > 0:
                bytes.InsertRange(at, words[Below(words.Count)]);
                break;
            case 11:
                ChangeNumber(bytes, at);
                break;
            case 12 when Below(4) == 0:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
            default:
                bytes.InsertRange(at, Enumerable.Repeat((byte)Below(256), Length(64)));
                break;
        }
    }

    /// <summary>Puts another number into the place of one that is written in digits, from <paramref name="at"/> on.</summary>
    private void ChangeNumber(List<byte> bytes, int at)
    {
        int first = bytes.FindIndex(at, value => value is >= (byte)'0' and <= (byte)'9');
        if (first < 0)
        {
            return;
        }

        int last = bytes.FindIndex(first, value => value is < (byte)'0' or > (byte)'9');
        bytes.RemoveRange(first, (last < 0 ? bytes.Count : last) - first);
        bytes.InsertRange(first, Encoding.ASCII.GetBytes(Numbers[Below(Numbers.Length)]));
    }

    private static void Overwrite(List<byte> bytes, int at, ReadOnlySpan<byte> with)
    {
        for (int i = 0; i < with.Length && at + i < bytes.Count; i++)
        {
            bytes[at + i] = with[i];
        }
    }

    private byte[] Number()
    {
        byte[] number = new byte[sizeof(long)];
        long value = Extremes[Below(Extremes.Length)] + (Below(4) == 0 ? Below(33) - 16 : 0);
        int size = 1 << Below(4);
        if (Below(2) == 0)
        {
            BinaryPrimitives.WriteInt64LittleEndian(number, value);
            return number[..size];
        }

        BinaryPrimitives.WriteInt64BigEndian(number, value);
        return number[^size..];
    }

    /// <summary>Of a part of at most so many bytes: mostly short.</summary>
    private int Length(int most) => most <= 0 ? 0 : 1 + Below(Math.Min(most, 1 << Below(13)));

    /// <summary>SplitMix64.</summary>
    private ulong Next()
    {
        ulong mixed = _state += 0x9E3779B97F4A7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }
}
