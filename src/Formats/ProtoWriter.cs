using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;

namespace CudaTrainer.Formats;

/// <summary>The types of the wire format that TensorBoard's and ONNX's messages use.</summary>
internal enum ProtoType
{
    Varint = 0,
    Fixed64 = 1,
    LengthDelimited = 2,
    Fixed32 = 5,
}

/// <summary>
/// Protocol buffer messages (protobuf.dev/programming-guides/encoding), written field by field into memory that is used again after
/// <see cref="Clear"/>. Fields come in the order in which they are written. Allocates only when the memory has to grow.
/// </summary>
internal sealed class ProtoWriter
{
    private const int VarintBits = 7;

    private byte[] _bytes = new byte[4096];

    /// <summary>Bytes written.</summary>
    public int Length { get; private set; }

    /// <summary>What was written from <paramref name="start"/> on; valid until the next write.</summary>
    public Span<byte> From(int start) => _bytes.AsSpan(start, Length - start);

    public void Clear() => Length = 0;

    /// <summary>The next bytes, for something other than a message.</summary>
    public Span<byte> Take(int count)
    {
        if (_bytes.Length - Length < count)
        {
            Array.Resize(ref _bytes, (int)BitOperations.RoundUpToPowerOf2((uint)(Length + count)));
        }

        Length += count;
        return _bytes.AsSpan(Length - count, count);
    }

    public void Integer(int field, long value)
    {
        Key(field, ProtoType.Varint);
        Varint((ulong)value);
    }

    public void Double(int field, double value)
    {
        Key(field, ProtoType.Fixed64);
        BinaryPrimitives.WriteDoubleLittleEndian(Take(sizeof(double)), value);
    }

    public void Text(int field, string value)
    {
        Key(field, ProtoType.LengthDelimited);
        int bytes = Encoding.UTF8.GetByteCount(value);
        Varint((ulong)bytes);
        Encoding.UTF8.GetBytes(value, Take(bytes));
    }

    public void Bytes(int field, ReadOnlySpan<byte> value)
    {
        Announce(field, value.Length);
        value.CopyTo(Take(value.Length));
    }

    /// <summary>Begins a field of so many bytes, which whoever writes this message to a file puts behind it.</summary>
    public void Announce(int field, long length)
    {
        Key(field, ProtoType.LengthDelimited);
        Varint((ulong)length);
    }

    /// <summary>Numbers as they lie in memory; the wire is little-endian as well.</summary>
    public void Packed<T>(int field, ReadOnlySpan<T> values)
        where T : unmanaged => Bytes(field, MemoryMarshal.AsBytes(values));

    /// <summary>Begins a message inside this one.</summary>
    /// <returns>For <see cref="End"/>.</returns>
    public int Begin(int field)
    {
        Key(field, ProtoType.LengthDelimited);
        Take(1);
        return Length;
    }

    /// <summary>Ends a message: its length goes before it, and moves it when it takes more than one byte.</summary>
    public void End(int begin)
    {
        int length = Length - begin;
        int lengthBytes = (BitOperations.Log2((uint)length | 1) / VarintBits) + 1;
        Take(lengthBytes - 1);
        _bytes.AsSpan(begin, length).CopyTo(_bytes.AsSpan(begin - 1 + lengthBytes));
        PutVarint(_bytes.AsSpan(begin - 1, lengthBytes), (ulong)length);
    }

    private static void PutVarint(Span<byte> bytes, ulong value)
    {
        for (int i = 0; i < bytes.Length; i++, value >>= VarintBits)
        {
            bytes[i] = (byte)((value & 0x7F) | (i + 1 < bytes.Length ? 0x80u : 0));
        }
    }

    private void Key(int field, ProtoType type) => Varint(((ulong)field << 3) | (ulong)type);

    private void Varint(ulong value) => PutVarint(Take((BitOperations.Log2(value | 1) / VarintBits) + 1), value);
}
