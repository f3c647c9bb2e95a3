using System.Buffers.Binary;
using CudaTrainer.Engine.Tests.Formats;

namespace CudaTrainer.Engine.Tests.TensorBoard;

/// <summary>A value of a summary.</summary>
/// <param name="Kind">The plugin that it is for.</param>
/// <param name="Content">Of the plugin.</param>
/// <param name="Shape">Of the tensor.</param>
/// <param name="Numbers">Of a tensor of numbers.</param>
/// <param name="Strings">Of a tensor of strings.</param>
internal sealed record BoardValue(long Step, string Tag, string Kind, byte[] Content, int[] Shape, double[] Numbers, byte[][] Strings);

/// <summary>
/// An event file, read by the letter of TFRecord and of TensorBoard's messages. Written apart from the writer: no code or table of it is
/// used.
/// </summary>
internal sealed class EventFileReader
{
    private static readonly Dictionary<string, int> Classes =
        new() { ["scalars"] = 0, ["histograms"] = 2, ["images"] = 3, ["text"] = 2, ["pr_curves"] = 2, ["hparams"] = 2 };

    public EventFileReader(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        int records = 0;
        for (int at = 0; at < file.Length; records++)
        {
            int length = checked((int)BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(at)));
            BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)).ShouldBe(Masked(file.AsSpan(at, 8)));
            ReadOnlyMemory<byte> data = file.AsMemory(at + 12, length);
            BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)).ShouldBe(Masked(data.Span));
            at += 16 + length;
            WireMessage message = new WireMessage(data).With((1, 1, false), (2, 0, false), (3, 2, false), (5, 2, false), (7, 2, false));
            message.Double(1).ShouldBeGreaterThan(1e9, "seconds since 1970");
            message.Has(3).ShouldBe(records == 0);
            if (records == 0)
            {
                message.Text(3).ShouldBe("brain.Event:2");
            }
            else if (message.Has(7))
            {
                message.Message(7).With((1, 0, false)).Integer(1).ShouldBe(1);
                Starts.Add(message.Integer(2));
            }
            else
            {
                Values.AddRange(message.Message(5).With((1, 2, true)).All(1)
                    .Select(value => Value(message.Integer(2), new WireMessage(value))));
            }
        }

        records.ShouldBeGreaterThan(0);
    }

    /// <summary>Steps of the session starts.</summary>
    public List<long> Starts { get; } = [];

    public List<BoardValue> Values { get; } = [];

    /// <summary>The files of a run in the order in which TensorBoard reads them.</summary>
    public static EventFileReader[] ReadRun(string folder) =>
        [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal).Select(path => new EventFileReader(path))];

    /// <summary>Bit by bit.</summary>
    public static uint Masked(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in data)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
            }
        }

        crc = ~crc;
        return unchecked(((crc >> 15) | (crc << 17)) + 0xA282EAD8);
    }

    private static BoardValue Value(long step, WireMessage value)
    {
        value.With((1, 2, false), (8, 2, false), (9, 2, false));
        WireMessage metadata = value.Message(9).With((1, 2, false), (4, 0, false));
        WireMessage plugin = metadata.Message(1).With((1, 2, false), (2, 2, false));
        string kind = plugin.Text(1);
        metadata.Integer(4).ShouldBe(Classes[kind]);
        WireMessage tensor = value.Message(8).With((1, 0, false), (2, 2, false), (4, 2, false), (5, 2, false), (8, 2, true));
        int[] shape = [.. tensor.Message(2).With((2, 2, true)).All(2)
            .Select(dimension => (int)new WireMessage(dimension).With((1, 0, false)).Integer(1))];
        int count = shape.Aggregate(1, (product, size) => product * size);
        byte[][] strings = [.. tensor.All(8)];
        double[] numbers = [];
        switch (tensor.Integer(1))
        {
            case 1:
                byte[] floats = tensor.Has(5) ? tensor.Bytes(5) : tensor.Has(4) ? tensor.Bytes(4) : [];
                numbers = [.. floats.Chunk(4).Select(bytes => (double)BinaryPrimitives.ReadSingleLittleEndian(bytes))];
                break;
            case 2:
                numbers = [.. tensor.Bytes(4).Chunk(8).Select(bytes => BinaryPrimitives.ReadDoubleLittleEndian(bytes))];
                break;
            case 7:
                strings.Length.ShouldBe(count);
                count = 0;
                break;
            default:
                throw new InvalidDataException($"tensor type {tensor.Integer(1)}");
        }

        numbers.Length.ShouldBe(count);
        return new BoardValue(step, value.Text(1), kind, plugin.Has(2) ? plugin.Bytes(2) : [], shape, numbers, strings);
    }
}
