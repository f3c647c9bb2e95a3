using System.Text;

namespace CudaTrainer.Formats;

/// <summary>A protocol buffer message, read field by field without a copy; the counterpart of <see cref="ProtoWriter"/>.</summary>
internal ref struct ProtoReader(ReadOnlySpan<byte> message)
{
    private const int VarintBits = 7;

    private ReadOnlySpan<byte> _rest = message;

    /// <summary>Number of the field that <see cref="Next"/> came to.</summary>
    public int Field { get; private set; }

    /// <summary>The field's value where it is a number, else 0.</summary>
    public long Integer { get; private set; }

    /// <summary>The field's content where it is not a number, else empty.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>The field as it stands in the message, with its number and length.</summary>
    public ReadOnlySpan<byte> Raw { get; private set; }

    /// <exception cref="InvalidDataException">It is not UTF-8.</exception>
    public readonly string Text
    {
        get
        {
            try
            {
                return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(Bytes);
            }
            catch (DecoderFallbackException exception)
            {
                throw new InvalidDataException($"field {Field} is not text", exception);
            }
        }
    }

    /// <returns>False at the end of the message.</returns>
    /// <exception cref="InvalidDataException">It is no message, or it is cut off.</exception>
    public bool Next()
    {
        if (_rest.IsEmpty)
        {
            return false;
        }

        ReadOnlySpan<byte> from = _rest;
        ulong key = Varint();
        Field = (int)Math.Min(key >> 3, int.MaxValue);
        Integer = 0;
        Bytes = default;
        switch ((ProtoType)(key & 7))
        {
            case ProtoType.Varint:
                Integer = (long)Varint();
                break;
            case ProtoType.Fixed64:
                Bytes = Take(sizeof(ulong));
                break;
            case ProtoType.LengthDelimited:
                Bytes = Take(Varint());
                break;
            case ProtoType.Fixed32:
                Bytes = Take(sizeof(uint));
                break;
            default:
                throw new InvalidDataException($"field {Field} has the wire type {key & 7}, which is none that is written here");
        }

        Raw = from[..(from.Length - _rest.Length)];
        return true;
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += VarintBits)
        {
            byte next = Take(1)[0];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new InvalidDataException("a number takes more than 10 bytes");
    }

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)_rest.Length)
        {
            throw new InvalidDataException($"a field of {count:N0} bytes is cut off after {_rest.Length:N0}");
        }

        ReadOnlySpan<byte> taken = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return taken;
    }
}
