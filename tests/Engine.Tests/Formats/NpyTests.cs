using System.Buffers.Binary;
using System.Text;
using CudaTrainer.Formats;
using FsCheck;
using FsCheck.Fluent;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class NpyTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Any_shape_of_any_type_round_trips()
    {
        Gen<long[]> shapes =
            Gen.Choose(0, 4).ListOf().Where(shape => shape.Count <= 5).Select(shape => shape.Select(d => (long)d).ToArray());
        Gen<ElementType> types = Gen.Elements(Enum.GetValues<ElementType>().Where(type => type != ElementType.BF16));

        Prop.ForAll(shapes.Zip(types).ToArbitrary(), item =>
        {
            (long[] shape, ElementType type) = item;
            ElementTypes.TryCountBytes(shape, type, out _, out long byteCount).ShouldBeTrue();
            byte[] bytes = new byte[byteCount];
            new System.Random(shape.Length).NextBytes(bytes);
            string path = _folder.File("array.npy");

            using (var writer = NpyWriter.Create(path, type, shape))
            {
                writer.AppendBytes(bytes);
                writer.Complete();
            }

            using MappedNpy mapped = NpyFile.OpenMapped(path);
            mapped.Shape.ShouldBe(shape);
            mapped.ElementType.ShouldBe(type);
            (new FileInfo(path).Length - bytes.Length)
                .ShouldSatisfyAllConditions(head => (head % 64).ShouldBe(0), head => head.ShouldBeLessThanOrEqualTo(192));
            IEnumerable<byte> rows = Enumerable.Range(0, (int)mapped.RowCount).SelectMany(row => mapped.Row(row).ToArray());
            rows.ShouldBe(bytes);
        }).Check(Config.QuickThrowOnFailure.WithQuietOnSuccess(true));
    }

    [Fact]
    public void Header_is_byte_for_byte_what_numpy_writes()
    {
        string path = _folder.File("array.npy");

        NpyFile.Write<float>(path, [1, 2, 3], 3);

        byte[] head = File.ReadAllBytes(path)[..^12];
        head.ShouldBe([0x93, .. "NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"u8,
            .. Enumerable.Repeat((byte)' ', 60), (byte)'\n']);
    }

    [Fact]
    public void Files_saved_by_numpy_are_read()
    {
        float[] numbered = [0, -0.25f, 0.5f, -0.75f, 1, -1.25f];
        foreach (string name in (string[])["float16", "version2", "version3"])
        {
            NpyArray<float> array = NpyFile.ReadSingle(GoldenFiles.Path($"formats_{name}.npy"));
            array.Shape.ShouldBe([2, 3], name);
            array.Data.ShouldBe(numbered, name);
        }

        NpyFile.ReadInt64(GoldenFiles.Path("formats_labels.npy")).Data.ShouldBe([0, 1, 2, 3]);
        NpyFile.ReadSingle(GoldenFiles.Path("formats_scalar.npy")).ShouldSatisfyAllConditions(
            scalar => scalar.Shape.ShouldBeEmpty(), scalar => scalar.Data.ShouldBe([0.25f]));
        Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(GoldenFiles.Path("formats_fortran.npy")))
            .Message.ShouldEndWith("expected C order. Write it with numpy.save(name, numpy.ascontiguousarray(array)).");
    }

    [Theory]
    [InlineData(">f4", "big-endian, expected little-endian. Write it with numpy.save(name, array.astype('<f4')).")]
    [InlineData(">i8", "big-endian, expected little-endian. Write it with numpy.save(name, array.astype('<i8')).")]
    [InlineData("<U7", "Write it with numpy.save(name, array.astype('<f4')).")]
    [InlineData("|S7", "Write it with numpy.save(name, array.astype('<f4')).")]
    [InlineData("|O", "Write it with numpy.save(name, array.astype('<f4')).")]
    [InlineData("<c8", "Write it with numpy.save(name, array.astype('<f4')).")]
    public void Advice_for_other_elements_is_what_makes_them_readable(string descriptor, string expected)
    {
        string head = $"{{'descr': '{descriptor}', 'fortran_order': False, 'shape': (0,), }}\n";
        byte[] text = System.Text.Encoding.ASCII.GetBytes(head);
        string path = _folder.File("other.npy", [0x93, .. "NUMPY\x01\0"u8, (byte)head.Length, 0, .. text]);

        Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(path)).Message.ShouldEndWith(expected);
    }

    [Fact]
    public void Advice_for_an_archive_of_arrays_takes_one_out() =>
        Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(_folder.File("a.npy", "PK\x03\x04 and so on"u8))).Message
            .ShouldEndWith("Write it with numpy.save(name, numpy.load('NAME.npz')['KEY']).");

    [Fact]
    public void Rows_are_checked_and_typed()
    {
        string path = _folder.File("array.npy");
        NpyFile.Write<Half>(path, [(Half)1, (Half)2, (Half)3, (Half)4, (Half)5, (Half)6], 3, 1, 2);

        using MappedNpy mapped = NpyFile.OpenMapped(path);
        mapped.RowCount.ShouldBe(3);
        mapped.RowLength.ShouldBe(2);
        mapped.Row<Half>(1).ToArray().ShouldBe([(Half)3, (Half)4]);
        float[] row = new float[2];
        mapped.ReadRow(2, row);
        row.ShouldBe([5, 6]);
        mapped.WillNeed(0, 3);
        Should.Throw<ArgumentOutOfRangeException>(() => mapped.Row(3));
        Should.Throw<ArgumentOutOfRangeException>(() => mapped.Row(-1));
        Should.Throw<ArgumentOutOfRangeException>(() => mapped.WillNeed(1, 3));
        Should.Throw<FileFormatException>(() => mapped.Row<float>(0))
            .Message.ShouldBe($"'{path}': expected elements of type F32, found F16.");

        mapped.Dispose();
        Should.Throw<ObjectDisposedException>(() => mapped.Row(0));
    }

    [Fact]
    public void Heap_readers_convert_widths_but_never_kinds()
    {
        string doubles = _folder.File("doubles.npy");
        string bytes = _folder.File("bytes.npy");
        NpyFile.Write<double>(doubles, [0.5, -2], 2);
        NpyFile.Write<byte>(bytes, [0, 255, 1, 0], 2, 2);

        NpyFile.ReadSingle(doubles).Data.ShouldBe([0.5f, -2]);
        NpyFile.Read<double>(doubles).Data.ShouldBe([0.5, -2]);
        NpyArray<long> labels = NpyFile.ReadInt64(bytes);
        labels.Shape.ShouldBe([2, 2]);
        labels.Data.ShouldBe([0, 255, 1, 0]);
        Should.Throw<FileFormatException>(() => NpyFile.ReadSingle(bytes))
            .Message.ShouldContain("found U8. Save it with array.astype('float32').");
        Should.Throw<FileFormatException>(() => NpyFile.ReadInt64(doubles))
            .Message.ShouldContain("found F64. Save it with array.astype('int64').");
        Should.Throw<FileFormatException>(() => NpyFile.Read<float>(doubles))
            .Message.ShouldContain("expected elements of type F32, found F64");
    }

    [Fact]
    public void Unsigned_integers_beyond_long_are_refused()
    {
        string path = _folder.File("array.npy");
        NpyFile.Write<ulong>(path, [ulong.MaxValue], 1);

        Should.Throw<FileFormatException>(() => NpyFile.ReadInt64(path)).Message.ShouldContain("an element exceeds 9223372036854775807");
    }

    [Fact]
    public void An_incomplete_writer_leaves_no_file()
    {
        string path = _folder.File("array.npy");

        using (var writer = NpyWriter.Create(path, ElementType.F32, 2, 2))
        {
            writer.Append<float>([1, 2]);
            Should.Throw<InvalidOperationException>(writer.Complete).Message.ShouldContain("needs 16 bytes of data, 8 were appended");
            Should.Throw<ArgumentException>(() => writer.Append<float>([1, 2, 3]));
            Should.Throw<ArgumentException>(() => writer.Append<int>([1]));
        }

        Directory.GetFileSystemEntries(_folder.Path).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(2, "{'descr':'<i4','fortran_order':False,'shape':(2,)}", new long[] { 2 })]
    [InlineData(3, "{\"shape\": (2L, 1L), \"descr\": \"=i4\", \"fortran_order\": False}  \n", new long[] { 2, 1 })]
    [InlineData(1, "{'shape': (1,2,), 'descr': '<i4', 'fortran_order': False, }\n", new long[] { 1, 2 })]
    public void Other_versions_and_spellings_are_read(byte version, string header, long[] shape)
    {
        NpyArray<long> read = NpyFile.ReadInt64(Raw(version, header, 8));

        read.Shape.ShouldBe(shape);
        read.Data.ShouldBe([0, 0]);
    }

    [Theory]
    [InlineData("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", "Fortran (column-major) order, expected C order")]
    [InlineData("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "'>f4' are big-endian")]
    [InlineData("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "element type '<c8' is not one of")]
    [InlineData("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "element type '|O' is not one of")]
    [InlineData("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "structured elements")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "dimension '-2'")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "dimension '99999999999999999999'")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }", "larger than any file")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }", "larger than any file")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807), }", "larger than any file")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        "shape [3] of F32 needs 12 bytes of data, found 8. The file is truncated")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
        "shape [1] of F32 needs 4 bytes of data, found 8. Save one array per file.")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2), }", "expected ',' in a one-element shape")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (,), }", "dimension ''")]
    [InlineData("{'descr': '<f4', 'fortran_order': False}", "must all be present")]
    [InlineData("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "'descr' is unknown or repeated")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "'x' is unknown or repeated")]
    [InlineData("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "expected True or False")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} + exit()", "text follows the closing brace")]
    [InlineData("{'descr': '<f4", "expected a quoted string")]
    [InlineData("", "expected '{'")]
    public void A_bad_header_is_explained(string header, string expected)
    {
        string path = Raw(1, header, 8);

        FileFormatException error = Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(path).Dispose());

        error.Message.ShouldStartWith($"'{path}': ");
        error.Message.ShouldContain(expected);
    }

    [Fact]
    public void Header_bombs_are_refused_before_anything_is_allocated()
    {
        string beyond = _folder.File("beyond.npy", [0x93, .. "NUMPY\x02\0"u8, 0xff, 0xff, 0xff, 0xff, (byte)'{']);
        string huge = Raw(2, new string(' ', 1 << 20), 0);

        Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(beyond))
            .Message.ShouldContain("declares 4294967295 bytes, only 1 follow");
        Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(huge)).Message.ShouldContain("a valid one has at most 65536");
        string deep = Raw(1, $"{{'descr': '<f4', 'fortran_order': False, 'shape': ({string.Concat(Enumerable.Repeat("1,", 65))}), }}", 4);
        Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(deep)).Message.ShouldContain("more than 64 dimensions");
    }

    [Fact]
    public void Every_truncation_is_refused()
    {
        NpyFile.Write<long>(_folder.File("whole.npy"), [1, 2, 3], 3);
        byte[] whole = File.ReadAllBytes(_folder.File("whole.npy"));

        for (int length = 0; length < whole.Length; length++)
        {
            string path = _folder.File("cut.npy", whole.AsSpan(0, length));
            Should.Throw<FileFormatException>(() => NpyFile.ReadInt64(path), $"{length} bytes");
        }
    }

    [Fact]
    public void Things_that_are_no_files_are_named()
    {
        Should.Throw<FileNotFoundException>(() => NpyFile.OpenMapped(_folder.File("absent.npy")))
            .Message.ShouldContain("absent.npy' does not exist");
        Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(_folder.Path)).Message.ShouldContain("found a folder");
        Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(_folder.File("text.npy", "1 2 3 4 5 6 7"u8)))
            .Message.ShouldContain("does not start with the NumPy signature");
    }

    [Fact]
    public void A_fifo_is_refused_without_waiting_for_its_writer()
    {
        string path = _folder.File("pipe.npy");
        TemporaryFolder.MakeFifo(path);

        Should.Throw<FileFormatException>(() => NpyFile.OpenMapped(path)).Message
            .ShouldBe($"'{path}': expected a regular file, found a pipe, socket or device.");
    }

    private string Raw(byte version, string header, int dataBytes)
    {
        byte[] length = new byte[version == 1 ? 2 : 4];
        if (version == 1)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(length, (ushort)header.Length);
        }
        else
        {
            BinaryPrimitives.WriteInt32LittleEndian(length, header.Length);
        }

        return _folder.File("raw.npy",
            [0x93, .. "NUMPY"u8, version, 0, .. length, .. Encoding.Latin1.GetBytes(header), .. new byte[dataBytes]]);
    }
}
