using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Tests.Onnx;

public sealed class OnnxWriterTests : IDisposable
{
    private static readonly Dictionary<string, string> None = [];

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void A_graph_takes_no_value_that_is_not_there_and_no_name_twice()
    {
        OnnxGraph graph = Small();

        Should.Throw<ArgumentException>(() => graph.Add("Relu", "z", ["w"])).Message.ShouldContain("'w'");
        Should.Throw<ArgumentException>(() => graph.Add("Relu", "y", ["x"])).Message.ShouldContain("'y'");
        Should.Throw<ArgumentException>(() => graph.Constant<float>("x", [1], 1)).Message.ShouldContain("'x'");
        Should.Throw<ArgumentException>(() => graph.Output("nothing", ElementType.F32)).Message.ShouldContain("'nothing'");
        graph.Nodes.Count.ShouldBe(2);
    }

    [Fact]
    public void The_same_graph_gives_the_same_bytes()
    {
        byte[] bytes = Bytes(Small());

        Bytes(Small()).ShouldBe(bytes);
        OnnxFile file = new(bytes);
        file.Nodes.Select(node => node.Operation).ShouldBe(["Add", "Transpose"]);
        file.Nodes[1].Integers["perm"].ShouldBe([1, 0]);
        file.Tensors["b"].Floats.ToArray().ShouldBe([1, 2, 3]);
    }

    /// <summary>A length is written in one to four bytes here.</summary>
    [Fact]
    public void Lengths_of_any_size_stand_before_their_content()
    {
        foreach (int count in (int[])[1, 31, 32, 4095, 4096, 600_000])
        {
            float[] values = [.. Enumerable.Range(0, count).Select(i => FormulaNoise.At(i, count, 1))];
            OnnxGraph graph = Small();
            graph.Constant("large", values, count);

            OnnxFile file = new(Bytes(graph));

            file.Tensors["large"].Floats.ToArray().ShouldBe(values);
        }
    }

    [Fact]
    public void What_is_longer_than_a_message_may_be_is_refused_before_anything_is_read_or_written()
    {
        OnnxGraph graph = Small();
        graph.Constant(new NamedTensor("huge", ElementType.F32, [1 << 15, 1 << 14], () => throw new InvalidOperationException("read")));
        using var stream = new MemoryStream();

        Should.Throw<IOException>(() => OnnxWriter.Write(stream, graph, "1", None, CancellationToken.None))
            .Message.ShouldContain("2,147,483,647");

        stream.Length.ShouldBe(0);
    }

    [Fact]
    public void A_weight_of_another_length_than_its_shape_is_an_error()
    {
        OnnxGraph graph = Small();
        graph.Constant<float>("short", [1, 2, 3], 4);

        Should.Throw<ArgumentException>(() => Bytes(graph)).Message.ShouldContain("'short'");
    }

    [Fact]
    public void Writing_stops_between_two_weights()
    {
        using var stop = new CancellationTokenSource();
        var graph = new OnnxGraph("g");
        graph.Constant(new NamedTensor("first", ElementType.F32, [1], () =>
        {
            stop.Cancel();
            return new byte[4];
        }));
        graph.Constant(new NamedTensor("second", ElementType.F32, [1], () => throw new InvalidOperationException("read")));

        Should.Throw<OperationCanceledException>(() => OnnxWriter.Write(Stream.Null, graph, "1", None, stop.Token));
    }

    [Fact]
    public void What_was_written_is_found_again()
    {
        OnnxReadBack.Verify(_folder.File("good.onnx", Bytes(Small())), Small(), CancellationToken.None);

        Fault(Bytes(Small())[..^3]).ShouldContain("cut off");
        Fault([.. "this is no model"u8]).ShouldNotBeEmpty();
        Fault([]).ShouldContain("no graph");
        Fault(Replaced(BitConverter.GetBytes(2f), BitConverter.GetBytes(2.5f))).ShouldContain("the numbers of 'b'");
        Fault(Replaced("Add"u8, "Sub"u8)).ShouldContain("another operation");
    }

    [Fact]
    public void A_file_of_another_graph_is_no_copy_of_this_one()
    {
        OnnxGraph more = Small();
        more.Constant<float>("c", [1], 1);
        Fault(Bytes(more)).ShouldContain("'c'");
        Should.Throw<FileFormatException>(
            () => OnnxReadBack.Verify(_folder.File("less.onnx", Bytes(Small())), more, CancellationToken.None))
            .Message.ShouldContain("missing: c");
        OnnxGraph longer = Small();
        longer.Add("Relu", "z", ["y"]);
        Fault(Bytes(longer)).ShouldContain("3 operations");

        // The same nodes the other way round: no order in which they can run.
        OnnxGraph swapped = new("small");
        swapped.Constant<float>("b", [1, 2, 3], 3);
        swapped.Input("x", ElementType.F32, "batch", 3);
        swapped.Input("sum", ElementType.F32, "batch", 3);
        swapped.Add("Transpose", "y", ["sum"], OnnxAttribute.Of("perm", [1, 0]));
        swapped.Add("Add", "other", ["x", "b"]);
        swapped.Output("y", ElementType.F32, 3, "batch");
        Fault(Bytes(swapped)).ShouldContain("'sum'");
    }

    public void Dispose() => _folder.Dispose();

    private static OnnxGraph Small()
    {
        var graph = new OnnxGraph("small");
        graph.Input("x", ElementType.F32, "batch", 3);
        graph.Constant<float>("b", [1, 2, 3], 3);
        graph.Add("Add", "sum", ["x", "b"]);
        graph.Add("Transpose", "y", ["sum"], OnnxAttribute.Of("perm", [1, 0]));
        graph.Output("y", ElementType.F32, 3, "batch");
        return graph;
    }

    private static byte[] Bytes(OnnxGraph graph)
    {
        using var stream = new MemoryStream();
        OnnxWriter.Write(stream, graph, "1", None, CancellationToken.None);
        return stream.ToArray();
    }

    private static byte[] Replaced(ReadOnlySpan<byte> old, ReadOnlySpan<byte> replacement)
    {
        byte[] bytes = Bytes(Small());
        replacement.CopyTo(bytes.AsSpan(bytes.AsSpan().IndexOf(old)));
        return bytes;
    }

    private string Fault(byte[] content)
    {
        string path = _folder.File("bad.onnx", content);
        string message = Should.Throw<FileFormatException>(() => OnnxReadBack.Verify(path, Small(), CancellationToken.None)).Message;
        message.ShouldContain(path);
        return message;
    }
}
