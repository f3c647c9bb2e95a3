using System.Buffers.Binary;
using System.Text;

namespace CudaTrainer.Engine.Tests.Formats;

/// <summary>
/// A protocol buffer message: its fields by number, in the order of the file. Bytes of the one kind, the number of the others.
/// </summary>
internal sealed class WireMessage
{
    private readonly List<(int Field, int Type, ulong Number, ReadOnlyMemory<byte> Bytes)> _fields = [];

    public WireMessage(ReadOnlyMemory<byte> message)
    {
        ReadOnlySpan<byte> bytes = message.Span;
        int at = 0;
        while (at < bytes.Length)
        {
            ulong key = Varint(bytes, ref at);
            int type = (int)(key & 7);
            ulong number = 0;
            ReadOnlyMemory<byte> content = default;
            switch (type)
            {
                case 0:
                    number = Varint(bytes, ref at);
                    break;
                case 1:
                    number = BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]);
                    at += 8;
                    break;
                case 2:
                    int length = (int)Varint(bytes, ref at);
                    content = message.Slice(at, length);
                    at += length;
                    break;
                default:
                    throw new InvalidDataException($"wire type {type}");
            }

            _fields.Add(((int)(key >> 3), type, number, content));
        }
    }

    /// <summary>
    /// Fails on fields that the message does not have, on fields of another type, and on more than one of a field that is not repeated.
    /// </summary>
    /// <param name="fields">Number, wire type, and whether it is repeated.</param>
    public WireMessage With(params (int Number, int Type, bool Repeated)[] fields)
    {
        foreach (IGrouping<int, (int Field, int Type, ulong Number, ReadOnlyMemory<byte> Bytes)> group
            in _fields.GroupBy(field => field.Field))
        {
            (int Number, int Type, bool Repeated) known = fields.SingleOrDefault(field => field.Number == group.Key);
            known.Number.ShouldBe(group.Key, "a field that the message does not have");
            group.ShouldAllBe(field => field.Type == known.Type);
            (known.Repeated || group.Count() == 1).ShouldBeTrue($"field {group.Key} is there {group.Count()} times");
        }

        return this;
    }

    public bool Has(int field) => _fields.Any(f => f.Field == field);

    public long Integer(int field) => (long)_fields.SingleOrDefault(f => f.Field == field).Number;

    public double Double(int field) => BitConverter.UInt64BitsToDouble(_fields.SingleOrDefault(f => f.Field == field).Number);

    public byte[] Bytes(int field) => Memory(field).ToArray();

    /// <summary>The same without a copy.</summary>
    public ReadOnlyMemory<byte> Memory(int field) => _fields.Single(f => f.Field == field).Bytes;

    public string Text(int field) => Decode(Memory(field));

    public WireMessage Message(int field) => new(Memory(field));

    public IEnumerable<byte[]> All(int field) => _fields.Where(f => f.Field == field).Select(f => f.Bytes.ToArray());

    public IEnumerable<WireMessage> Messages(int field) => _fields.Where(f => f.Field == field).Select(f => new WireMessage(f.Bytes));

    public IEnumerable<string> Texts(int field) => _fields.Where(f => f.Field == field).Select(f => Decode(f.Bytes));

    public IEnumerable<long> Integers(int field) => _fields.Where(f => f.Field == field).Select(f => (long)f.Number);

    private static string Decode(ReadOnlyMemory<byte> bytes) => new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes.Span);

    private static ulong Varint(ReadOnlySpan<byte> bytes, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = bytes[at++];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                (shift == 0 || next != 0).ShouldBeTrue("a number is longer than it has to be");
                return value;
            }
        }
    }
}
