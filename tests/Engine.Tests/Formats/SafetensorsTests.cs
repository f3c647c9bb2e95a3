using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using CudaTrainer.Formats;
using FsCheck;
using FsCheck.Fluent;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_bytes_are_those_of_the_specification()
    {
        using var stream = new MemoryStream();

        SafetensorsWriter.WriteTo(
            stream,
            [
                NamedTensor.Of<float>("b", new float[] { 1, 2 }, 2),
                NamedTensor.Of<byte>("flags", new byte[] { 7 }),
                NamedTensor.Of<float>("ä", new float[] { 3 }, 1, 1),
                NamedTensor.Of<float>("a", new float[] { 4 }, 1),
            ],
            new Dictionary<string, string> { ["z"] = "1", ["format"] = "pt" });

        string header = """
            {"__metadata__":{"format":"pt","z":"1"},
            "a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
            "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},
            "ä":{"dtype":"F32","shape":[1,1],"data_offsets":[12,16]},
            "flags":{"dtype":"U8","shape":[],"data_offsets":[16,17]}}
            """.ReplaceLineEndings("");
        byte[] text = Encoding.UTF8.GetBytes(header);
        int padded = (text.Length + 7) / 8 * 8;
        stream.ToArray().ShouldBe(
        [
            .. BitConverter.GetBytes((ulong)padded), .. text, .. Enumerable.Repeat((byte)' ', padded - text.Length),
            .. MemoryMarshal.AsBytes<float>([4, 1, 2, 3]), 7,
        ]);
    }

    [Fact]
    public void Any_tensors_under_any_names_round_trip()
    {
        Gen<string> names = ArbMap.Default.GeneratorFor<NonNull<string>>().Select(name => name.Get)
            .Where(name => name != "__metadata__" && Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(name)) == name);
        Gen<long[]> shapes =
            Gen.Choose(0, 3).ListOf().Where(shape => shape.Count <= 5).Select(shape => shape.Select(d => (long)d).ToArray());
        Gen<((string, long[]), ElementType)[]> tensors = names.Zip(shapes).Zip(Gen.Elements(Enum.GetValues<ElementType>()))
            .ListOf().Select(list => list.DistinctBy(item => item.Item1.Item1).ToArray());

        Prop.ForAll(tensors.Zip(names).ToArbitrary(), sample =>
        {
            (((string, long[]), ElementType)[] items, string text) = sample;
            var random = new System.Random(items.Length);
            var expected = new Dictionary<string, (TensorEntry Entry, byte[] Bytes)>();
            foreach (((string name, long[] shape), ElementType type) in items)
            {
                var entry = new TensorEntry(type, shape);
                byte[] bytes = new byte[entry.ElementCount * type.Size()];
                random.NextBytes(bytes);
                expected.Add(name, (entry, bytes));
            }

            string path = _folder.File("random.safetensors");
            SafetensorsWriter.Write(
                path,
                expected.Select(pair => new NamedTensor(pair.Key, pair.Value.Entry.Type, pair.Value.Entry.Shape, () => pair.Value.Bytes)),
                new Dictionary<string, string> { [text] = text });

            using var file = Safetensors.Open(path);
            file.Metadata.ShouldBe([KeyValuePair.Create(text, text)]);
            file.Entries.Count.ShouldBe(expected.Count);
            foreach ((string name, (TensorEntry entry, byte[] bytes)) in expected)
            {
                file.Entries[name].Type.ShouldBe(entry.Type);
                file.Entries[name].Shape.ShouldBe(entry.Shape);
                file.Bytes(name).ToArray().ShouldBe(bytes);
            }
        }).Check(Config.QuickThrowOnFailure.WithQuietOnSuccess(true));
    }

    [Fact]
    public void Floating_types_are_read_as_float_and_others_are_refused()
    {
        string path = _folder.File("types.safetensors");
        SafetensorsWriter.Write(path,
        [
            NamedTensor.Of<float>("single", new float[] { 0.1f, -2 }, 2),
            NamedTensor.Of<double>("double", new double[] { 0.1, -2 }, 2),
            NamedTensor.Of<Half>("half", new Half[] { (Half)0.5, (Half)(-2) }, 2),
            new NamedTensor("bfloat16", ElementType.BF16, [2], () => new byte[] { 0x00, 0x3f, 0x00, 0xc0 }),
            NamedTensor.Of<long>("long", new long[] { 1, 2 }, 2),
        ]);

        using ITensorArchive file = TensorArchive.Open(path);

        Read(file, "single").ShouldBe([0.1f, -2]);
        Read(file, "double").ShouldBe([0.1f, -2]);
        Read(file, "half").ShouldBe([0.5f, -2]);
        Read(file, "bfloat16").ShouldBe([0.5f, -2]);
        Should.Throw<FileFormatException>(() => Read(file, "long"))
            .Message.ShouldBe($"'{path}': tensor 'long': expected floating-point elements, found I64.");
        Should.Throw<FileFormatException>(() => file.Read("absent", [])).Message.ShouldBe($"'{path}': there is no tensor 'absent'.");
        Should.Throw<ArgumentException>(() => file.Read("half", new float[3])).Message.ShouldContain("has 2 elements, the destination 3");

        file.Dispose();
        Should.Throw<ObjectDisposedException>(() => Read(file, "single"));
    }

    [Fact]
    public unsafe void Native_memory_is_written_in_place()
    {
        float[] values = [1, 2, 3];
        string path = _folder.File("native.safetensors");

        fixed (float* pointer = values)
        {
            SafetensorsWriter.Write(path, [NamedTensor.Of("w", ElementType.F32, pointer, 3, 1)]);
        }

        using var file = Safetensors.Open(path);
        Read(file, "w").ShouldBe(values);
        file.Entries["w"].Shape.ShouldBe([3, 1]);
    }

    [Fact]
    public void The_writer_refuses_what_could_not_be_read_back()
    {
        string path = _folder.File("bad.safetensors");
        var one = NamedTensor.Of<float>("a", new float[1], 1);

        Write(one, one).ShouldContain("Two tensors are named 'a'");
        Write(one with { Name = "__metadata__" }).ShouldContain("reserved");
        Write(one with { Name = "\ud800" }).ShouldContain("not valid Unicode");
        Write(one with { Shape = [2] }).ShouldContain("takes 8 bytes, got 4");
        Write(one with { Shape = [-1] }).ShouldContain("impossible shape [-1]");
        Directory.GetFileSystemEntries(_folder.Path).ShouldBeEmpty();

        string Write(params NamedTensor[] tensors) =>
            Should.Throw<ArgumentException>(() => SafetensorsWriter.Write(path, tensors)).Message;
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}""", 8,
        "tensor 'a' is repeated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""", 6,
        "tensor 'b' begins at 2, inside 'a', which ends at 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}""", 12,
        "tensor 'b' begins at 8, not right after 'a'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "not right after 'the header'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 7,
        "describes 8 bytes of data, found 7. The file is truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 9, "describes 8 bytes of data, found 9")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8, "F32 [3] does not take the 8 bytes from 0 to 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "does not take the 0 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,0]}}""", 0, "integers from 0 to")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "integers from 0 to")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", 8, "integers from 0 to")]
    [InlineData("""{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}""", 8, "integers from 0 to")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "ends at 0, before its begin 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}""", 8, "more than 2 numbers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}""", 8, "lacks dtype, shape or two data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2]}}""", 8, "lacks dtype, shape or two data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}""", 8, "key 'x' is unknown or repeated")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, "key 'dtype' is unknown or repeated")]
    [InlineData("""{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}""", 8, "elements of type 'F8_E4M3', which is not supported")]
    [InlineData("""{"a":{"dtype":5,"shape":[2],"data_offsets":[0,8]}}""", 8, "dtype must be a text")]
    [InlineData("""{"a":[1]}""", 8, "tensor 'a' must be an object")]
    [InlineData("""{"__metadata__":{"a":1}}""", 0, "must hold only texts, not so 'a'")]
    [InlineData("""{"__metadata__":{"a":"1","a":"2"}}""", 0, "key 'a' of '__metadata__' is repeated")]
    [InlineData("""{"__metadata__":{},"__metadata__":{}}""", 0, "key '__metadata__' is repeated")]
    [InlineData("""{"a":{"dtype":"F32",""", 0, "not valid JSON")]
    [InlineData("""{} x""", 0, "not valid JSON")]
    [InlineData("""{}{}""", 0, "not valid JSON")]
    [InlineData("""{/* comment */}""", 0, "not valid JSON")]
    [InlineData("""{"\ud800":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}""", 0, "not valid JSON")]
    [InlineData("""[]""", 0, "must be a JSON object")]
    [InlineData("", 0, "not valid JSON")]
    public void A_malformed_header_is_explained(string header, int dataBytes, string expected)
    {
        string path = Raw((ulong)Encoding.UTF8.GetByteCount(header), header, dataBytes);

        FileFormatException error = Should.Throw<FileFormatException>(() => Safetensors.Open(path).Dispose());

        error.Message.ShouldStartWith($"'{path}': ");
        error.Message.ShouldContain(expected);
    }

    [Fact]
    public void Deep_nesting_is_refused() =>
        Should.Throw<FileFormatException>(() => Safetensors.Open(Raw(8192, new string('[', 8192), 0)));

    [Fact]
    public void Invalid_UTF8_is_refused() =>
        Should.Throw<FileFormatException>(() => Safetensors.Open(_folder.File(
            "latin1.safetensors",
                [50, 0, 0, 0, 0, 0, 0, 0, .. Encoding.Latin1.GetBytes("""{"ä":{"dtype":"F32","shape":[0],"data_offsets":[0,0]""")[..48],
                (byte)'}', (byte)'}']))).Message.ShouldContain("not valid JSON");

    [Fact]
    public void Header_bombs_are_refused_before_anything_is_allocated()
    {
        Open(Raw(ulong.MaxValue, "{}", 0)).ShouldContain("18446744073709551615 bytes is declared, the limit is 100000000");
        Open(Raw(100_000_001, "{}", 0)).ShouldContain("the limit is 100000000");
        Open(Raw(100_000_000, "{}", 0)).ShouldContain("100000000 bytes is declared, only 2 follow. The file is truncated");
        Open(_folder.File("short.safetensors", [2, 0, 0])).ShouldContain("3 bytes");
        Open(_folder.File("empty.safetensors", [])).ShouldContain("0 bytes");

        static string Open(string path) => Should.Throw<FileFormatException>(() => Safetensors.Open(path)).Message;
    }

    [Fact]
    public void Every_truncation_is_refused()
    {
        using var stream = new MemoryStream();
        SafetensorsWriter.WriteTo(stream, [NamedTensor.Of<float>("a", new float[] { 1, 2 }, 2)]);

        for (int length = 0; length < stream.Length; length++)
        {
            string path = _folder.File("cut.safetensors", stream.ToArray().AsSpan(0, length));
            Should.Throw<FileFormatException>(() => TensorArchive.Open(path), $"{length} bytes");
        }
    }

    [Fact]
    public void A_replaced_file_can_still_be_read_through_the_old_mapping()
    {
        string path = _folder.File("best.safetensors");
        SafetensorsWriter.Write(path, [NamedTensor.Of<float>("a", new float[] { 1 }, 1)]);
        using var old = Safetensors.Open(path);

        SafetensorsWriter.Write(path, [NamedTensor.Of<float>("b", new float[] { 2, 3 }, 2)]);

        Read(old, "a").ShouldBe([1]);
        using var replaced = Safetensors.Open(path);
        Read(replaced, "b").ShouldBe([2, 3]);
    }

    internal static float[] Read(ITensorArchive archive, string name)
    {
        float[] values = new float[archive.Entries[name].ElementCount];
        archive.Read(name, values);
        return values;
    }

    private string Raw(ulong declared, string header, int dataBytes)
    {
        byte[] length = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, declared);
        return _folder.File("raw.safetensors", [.. length, .. Encoding.UTF8.GetBytes(header), .. new byte[dataBytes]]);
    }
}
