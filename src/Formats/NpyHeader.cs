using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>The head of a NumPy <c>.npy</c> file.</summary>
/// <remarks>
/// Format (numpy/lib/format.py): <c>\x93NUMPY</c>, version bytes, header length (u16 for version 1, u32 for 2 and 3), a Python
/// dict literal in Latin-1 (version 3: UTF-8) padded with spaces and ended by a newline, then the elements.
/// </remarks>
internal sealed record NpyHeader(ElementType Type, long[] Shape, long DataOffset, long DataBytes)
{
    private const int Alignment = 64;
    private const int MaxRank = 64;
    private const int MaxHeaderBytes = 1 << 16;
    private const int PrefixBytes = 12;

    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>Reads and checks the head of an open file, the length of the data included.</summary>
    /// <exception cref="FileFormatException">Anything unexpected.</exception>
    public static NpyHeader Read(SafeFileHandle file, string path)
    {
        long fileBytes = RandomAccess.GetLength(file);
        Span<byte> prefix = stackalloc byte[PrefixBytes];
        prefix = prefix[..(int)Math.Min(PrefixBytes, fileBytes)];
        InputFile.ReadExactly(file, path, 0, prefix);
        if (prefix.StartsWith("PK\x03\x04"u8))
        {
            throw Malformed(path, "it is an archive of several arrays (.npz)", "numpy.load('NAME.npz')['KEY']");
        }

        if (!prefix.StartsWith(Magic) || prefix.Length < 10)
        {
            throw Malformed(path, fileBytes == 0 ? "the file is empty" : "it does not start with the NumPy signature");
        }

        byte version = prefix[6];
        (int textOffset, long textBytes) = version switch
        {
            1 => (10, (long)BinaryPrimitives.ReadUInt16LittleEndian(prefix[8..])),
            2 or 3 when prefix.Length == PrefixBytes => (PrefixBytes, BinaryPrimitives.ReadUInt32LittleEndian(prefix[8..])),
            2 or 3 => throw Malformed(path, "the file ends inside its header"),
            _ => throw Malformed(path, $"expected format version 1, 2 or 3, found {version}"),
        };
        if (textBytes > fileBytes - textOffset)
        {
            throw Malformed(path, $"the header declares {textBytes} bytes, only {fileBytes - textOffset} follow");
        }

        if (textBytes > MaxHeaderBytes)
        {
            throw Malformed(path, $"the header declares {textBytes} bytes; a valid one has at most {MaxHeaderBytes}");
        }

        byte[] text = new byte[textBytes];
        InputFile.ReadExactly(file, path, textOffset, text);
        (ElementType type, long[] shape) = new Parser(path, (version == 3 ? Encoding.UTF8 : Encoding.Latin1).GetString(text)).Parse();
        return Check(path, type, shape, textOffset + textBytes, fileBytes);
    }

    /// <summary>A version 1.0 head that puts the data at a multiple of 64 bytes.</summary>
    public static byte[] Build(ElementType type, ReadOnlySpan<long> shape)
    {
        string separator = shape.Length == 1 ? "," : "";
        string literal =
            $"{{'descr': '{Descriptor(type)}', 'fortran_order': False, 'shape': ({string.Join(", ", shape.ToArray())}{separator}), }}";
        int total = (Magic.Length + 4 + literal.Length + 1 + Alignment - 1) / Alignment * Alignment;
        byte[] head = new byte[total];
        Magic.CopyTo(head);
        head[6] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(head.AsSpan(8), (ushort)(total - 10));
        head.AsSpan(10).Fill((byte)' ');
        Encoding.Latin1.GetBytes(literal, head.AsSpan(10));
        head[^1] = (byte)'\n';
        return head;
    }

    private static NpyHeader Check(string path, ElementType type, long[] shape, long dataOffset, long fileBytes)
    {
        if (!ElementTypes.TryCountBytes(shape, type, out _, out long expected))
        {
            throw Malformed(path, $"shape {ElementTypes.Format(shape)} of {type} is larger than any file");
        }

        long actual = fileBytes - dataOffset;
        return expected == actual
            ? new NpyHeader(type, shape, dataOffset, expected)
            : throw new FileFormatException(
                path,
                $"shape {ElementTypes.Format(shape)} of {type} needs {expected} bytes of data, found {actual}",
                actual < expected ? "The file is truncated: copy or create it again." : "Save one array per file.");
    }

    private static string Descriptor(ElementType type) => type switch
    {
        ElementType.F64 => "<f8",
        ElementType.F32 => "<f4",
        ElementType.F16 => "<f2",
        ElementType.I64 => "<i8",
        ElementType.I32 => "<i4",
        ElementType.I16 => "<i2",
        ElementType.I8 => "|i1",
        ElementType.U64 => "<u8",
        ElementType.U32 => "<u4",
        ElementType.U16 => "<u2",
        ElementType.U8 => "|u1",
        ElementType.Bool => "|b1",
        _ => throw new NotSupportedException($"NumPy has no element type {type}."),
    };

    private static FileFormatException Malformed(string path, string message, string array = "array") =>
        new(path, $"not a usable .npy file: {message}", $"Write it with numpy.save(name, {array}).");

    /// <summary>What makes elements of another kind ones that can be read, keeping whole numbers whole.</summary>
    private static string Converted(string descriptor) => descriptor.AsSpan().TrimStart("<>|=") is ['i' or 'u', ..]
        ? "array.astype('<i8')"
        : "array.astype('<f4')";

    /// <summary>Parses the dict literal that numpy writes, and nothing more of Python.</summary>
    private ref struct Parser(string path, string text)
    {
        private readonly string _text = text;
        private int _position;

        public (ElementType Type, long[] Shape) Parse()
        {
            ElementType? type = null;
            bool? fortranOrder = null;
            long[]? shape = null;

            Expect('{');
            while (!TryTake('}'))
            {
                string key = TakeString();
                Expect(':');
                switch (key)
                {
                    case "descr" when type is null:
                        type = TakeType();
                        break;
                    case "fortran_order" when fortranOrder is null:
                        fortranOrder = TakeBoolean();
                        break;
                    case "shape" when shape is null:
                        shape = TakeShape();
                        break;
                    default:
                        throw Unexpected($"key '{key}' is unknown or repeated");
                }

                if (!TryTake(','))
                {
                    Expect('}');
                    break;
                }
            }

            SkipSpaces();
            if (_position != _text.Length)
            {
                throw Unexpected("text follows the closing brace");
            }

            if (type is null || fortranOrder is null || shape is null)
            {
                throw Unexpected("'descr', 'fortran_order' and 'shape' must all be present");
            }

            return !fortranOrder.Value
                ? (type.Value, shape)
                : throw Malformed(path, "the array is in Fortran (column-major) order, expected C order", "numpy.ascontiguousarray(array)");
        }

        private ElementType TakeType()
        {
            SkipSpaces();
            if (_position < _text.Length && _text[_position] == '[')
            {
                throw Malformed(path, "the array has structured elements, expected plain numbers", "array['FIELD'].astype('<f4')");
            }

            string descriptor = TakeString();
            if (descriptor.StartsWith('>'))
            {
                throw Malformed(path, $"the elements '{descriptor}' are big-endian, expected little-endian", Converted(descriptor));
            }

            if (descriptor is ['<' or '|' or '=', .. var code])
            {
                foreach (ElementType type in Enum.GetValues<ElementType>())
                {
                    if (type != ElementType.BF16 && Descriptor(type).AsSpan(1).SequenceEqual(code))
                    {
                        return type;
                    }
                }
            }

            throw Malformed(path, $"the element type '{descriptor}' is not one of <f8 <f4 <f2 <i8 <i4 <i2 |i1 <u8 <u4 <u2 |u1 |b1",
                Converted(descriptor));
        }

        private bool TakeBoolean()
        {
            SkipSpaces();
            foreach ((string literal, bool value) in (ReadOnlySpan<(string, bool)>)[("True", true), ("False", false)])
            {
                if (string.CompareOrdinal(_text, _position, literal, 0, literal.Length) == 0)
                {
                    _position += literal.Length;
                    return value;
                }
            }

            throw Unexpected("expected True or False");
        }

        private long[] TakeShape()
        {
            var shape = new List<long>();
            Expect('(');
            while (!TryTake(')'))
            {
                shape.Add(TakeDimension());
                if (shape.Count > MaxRank)
                {
                    throw Unexpected($"the shape has more than {MaxRank} dimensions");
                }

                if (!TryTake(','))
                {
                    Expect(')');
                    if (shape.Count == 1)
                    {
                        throw Unexpected("expected ',' in a one-element shape");
                    }

                    break;
                }
            }

            return [.. shape];
        }

        private long TakeDimension()
        {
            SkipSpaces();
            int start = _position;
            if (_position < _text.Length && _text[_position] == '-')
            {
                _position++;
            }

            while (_position < _text.Length && char.IsAsciiDigit(_text[_position]))
            {
                _position++;
            }

            ReadOnlySpan<char> digits = _text.AsSpan(start, _position - start);
            if (!long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long dimension) || dimension < 0)
            {
                throw Unexpected($"dimension '{digits}' is not a number from 0 to {long.MaxValue}");
            }

            // Python 2 wrote long integers as 3L.
            TryTakeNow('L');
            return dimension;
        }

        private string TakeString()
        {
            SkipSpaces();
            if (_position < _text.Length && _text[_position] is '\'' or '"')
            {
                int end = _text.IndexOf(_text[_position], _position + 1);
                if (end > 0)
                {
                    string value = _text[(_position + 1)..end];
                    _position = end + 1;
                    return value;
                }
            }

            throw Unexpected("expected a quoted string");
        }

        private void Expect(char character)
        {
            if (!TryTake(character))
            {
                throw Unexpected($"expected '{character}'");
            }
        }

        private bool TryTake(char character)
        {
            SkipSpaces();
            return TryTakeNow(character);
        }

        private bool TryTakeNow(char character)
        {
            if (_position < _text.Length && _text[_position] == character)
            {
                _position++;
                return true;
            }

            return false;
        }

        private void SkipSpaces()
        {
            while (_position < _text.Length && _text[_position] is ' ' or '\n' or '\t')
            {
                _position++;
            }
        }

        private readonly FileFormatException Unexpected(string message) =>
            Malformed(path, $"header, character {_position}: {message}");
    }
}
