using System.IO.Compression;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class PyTorchArchiveTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string, ElementType, long[]> GoldenTensors { get; } = new()
    {
        { "float", ElementType.F32, [2, 3] },
        { "double", ElementType.F64, [2, 3] },
        { "half", ElementType.F16, [3, 5] },
        { "bfloat16", ElementType.BF16, [3, 5] },
        { "scalar", ElementType.F32, [] },
        { "empty", ElementType.F32, [0, 3] },
        { "transposed", ElementType.F32, [3, 4] },
        { "half_transposed", ElementType.F16, [3, 4] },
        { "channels_last", ElementType.F32, [2, 3, 4, 5] },
        { "shared_head", ElementType.F32, [2, 3] },
        { "parameter", ElementType.F32, [2, 2] },
    };

    [Theory]
    [MemberData(nameof(GoldenTensors))]
    public void Tensors_saved_by_PyTorch_are_read(string name, ElementType type, long[] shape)
    {
        foreach (string file in (string[])["zip", "legacy", "protocol4"])
        {
            using ITensorArchive archive = TensorArchive.Open(GoldenFiles.Path($"formats_{file}.pth"));

            archive.Entries[name].Type.ShouldBe(type, file);
            archive.Entries[name].Shape.ShouldBe(shape, file);
            SafetensorsTests.Read(archive, name).ShouldBe(Numbered((int)archive.Entries[name].ElementCount), file);
        }
    }

    [Fact]
    public void Views_saved_by_PyTorch_share_their_storage()
    {
        foreach (string file in (string[])["zip", "legacy", "protocol4"])
        {
            using ITensorArchive archive = TensorArchive.Open(GoldenFiles.Path($"formats_{file}.pth"));

            SafetensorsTests.Read(archive, "shared_tail").ShouldBe(Numbered(20)[14..], file);
            SafetensorsTests.Read(archive, "every_second").ShouldBe(Numbered(20).Where((_, i) => i % 2 == 0), file);
            SafetensorsTests.Read(archive, "expanded").ShouldBe([0, -0.25f, 0, -0.25f, 0, -0.25f], file);
            archive.Entries.Count.ShouldBe(18);
            archive.Entries["long"].Type.ShouldBe(ElementType.I64);
            archive.Entries["bool"].Type.ShouldBe(ElementType.Bool);
            Should.Throw<FileFormatException>(() => SafetensorsTests.Read(archive, "long"))
                .Message.ShouldContain("tensor 'long': expected floating-point elements, found I64");
        }
    }

    [Theory]
    [InlineData("checkpoint")]
    [InlineData("checkpoint_legacy")]
    public void A_training_checkpoint_gives_its_model_without_the_parallel_prefix(string file)
    {
        string[] expected = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"];
        using ITensorArchive archive = WrappedModel.Unwrap(
            TensorArchive.Open(GoldenFiles.Path($"formats_{file}.pth")), expected.ToHashSet());

        archive.Entries.Keys.ShouldBe(expected);
        SafetensorsTests.Read(archive, "0.weight").ShouldBe(Numbered(6));
    }

    [Fact]
    public void Nested_dicts_give_dotted_names()
    {
        using ITensorArchive archive = TensorArchive.Open(GoldenFiles.Path("formats_nested.pth"));

        archive.Entries.Keys.ShouldBe(["encoder.a", "decoder.0.b"]);
        SafetensorsTests.Read(archive, "decoder.0.b").ShouldBe(Numbered(3));
    }

    [Fact]
    public void A_pickled_module_is_refused_by_the_name_of_its_class() =>
        Should.Throw<FileFormatException>(() => TensorArchive.Open(GoldenFiles.Path("formats_whole_module.pth"))).Message.ShouldContain(
            "the pickle asks for 'torch.nn.modules.linear.Linear', which is no part of a state_dict; it was not executed. "
            + "In PyTorch run torch.save(model.state_dict(), 'weights.pth')");

    /// <summary>
    /// Weights published in PyTorch's first years: byte strings, OrderedDict from a list of lists, the first rebuild function.
    /// </summary>
    [Fact]
    public void Files_of_Python_2_are_read()
    {
        PickleBuilder pickle = PickleBuilder.Empty.Global("collections", "OrderedDict").Op(']').Op(']').Op('(').Op('U', 1, (byte)'w')
            .Global("torch._utils", "_rebuild_tensor").Op('(')
            .Op('(').Op('U', [7, .. "storage"u8]).Global("torch", "FloatStorage").Op('U', 1, (byte)'0').Op('T', [3, 0, 0, 0, .. "cpu"u8])
                .Op('K', 6).Op('N').Op('t').Op('Q')
            .Op('K', 2).Op('M', 3, 0).Op('\x85').Op('J', 1, 0, 0, 0).Op('\x85')
            .Op('t').Op('R').Op('e').Op('a').Op('\x85').Op('R').Op('.');

        using ITensorArchive archive = TensorArchive.Open(pickle.ToLegacy(_folder, ("0", PickleBuilder.LegacyFloats(6))));

        SafetensorsTests.Read(archive, "w").ShouldBe([2, 3, 4]);
    }

    [Fact]
    public void Compressed_members_are_inflated()
    {
        string path = PickleBuilder.StateDictionary(strides: [1, 2]).ToZip(
            _folder, CompressionLevel.SmallestSize, ("data/0", PickleBuilder.Floats(6)), ("byteorder", "little"u8.ToArray()));

        using ITensorArchive archive = TensorArchive.Open(path);

        SafetensorsTests.Read(archive, "w").ShouldBe([0, 2, 4, 1, 3, 5]);
        archive.Dispose();
        Should.Throw<ObjectDisposedException>(() => SafetensorsTests.Read(archive, "w"));
    }

    [Fact]
    public void Every_view_within_its_storage_is_read_and_no_other()
    {
        for (int offset = -1; offset <= 6; offset++)
        {
            for (int outer = -1; outer <= 6; outer++)
            {
                for (int inner = -1; inner <= 6; inner++)
                {
                    string path = PickleBuilder.StateDictionary(offset, [2, 3], [outer, inner])
                        .ToLegacy(_folder, ("0", PickleBuilder.LegacyFloats(6)));
                    IEnumerable<int> indices = from i in Enumerable.Range(0, 2)
                                               from j in Enumerable.Range(0, 3)
                                               select offset + (i * outer)
                                     + (j * inner);
                    if (offset >= 0 && outer >= 0 && inner >= 0 && indices.All(index => index < 6))
                    {
                        using ITensorArchive archive = TensorArchive.Open(path);
                        SafetensorsTests.Read(archive, "w").ShouldBe(indices.Select(index => (float)index));
                    }
                    else
                    {
                        Should.Throw<FileFormatException>(() => TensorArchive.Open(path)).Message.ShouldContain("tensor 'w'");
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData(0, new[] { long.MaxValue, long.MaxValue }, new[] { long.MaxValue, long.MaxValue }, "is impossible")]
    [InlineData(0, new[] { 2L, 2 }, new[] { long.MaxValue, long.MaxValue }, "reaches to element")]
    [InlineData(long.MaxValue, new[] { 2L }, new[] { 1L }, "reaches to element 9223372036854775808")]
    [InlineData(0, new[] { 2L, 3 }, new[] { 1L }, "is impossible")]
    [InlineData(6, new long[] { }, new long[] { }, "reaches to element 6")]
    public void Extreme_views_do_not_overflow(long offset, long[] shape, long[] strides, string expected)
    {
        string path = PickleBuilder.StateDictionary(offset, shape, strides).ToLegacy(_folder, ("0", PickleBuilder.LegacyFloats(6)));

        Should.Throw<FileFormatException>(() => TensorArchive.Open(path)).Message.ShouldContain(expected);
    }

    [Fact]
    public void An_empty_view_may_have_any_offset()
    {
        using ITensorArchive archive = TensorArchive.Open(
            PickleBuilder.StateDictionary(6, [0, 3], [3, 1]).ToLegacy(_folder, ("0", PickleBuilder.LegacyFloats(6))));

        SafetensorsTests.Read(archive, "w").ShouldBeEmpty();
    }

    [Fact]
    public void A_storage_must_have_the_size_the_pickle_says()
    {
        var pickle = PickleBuilder.StateDictionary();

        Open(pickle.ToZip(_folder, members: ("data/0", PickleBuilder.Floats(5))))
            .ShouldContain("storage '0' of 6 F32 is missing or has another size");
        Open(pickle.ToZip(_folder, members: ("data/1", PickleBuilder.Floats(6)))).ShouldContain("storage '0' of 6 F32 is missing");
        Open(pickle.ToLegacy(_folder, ("0", PickleBuilder.LegacyFloats(5)))).ShouldContain("should have 6 elements of F32, found 5");
        Open(pickle.ToLegacy(_folder, ("0", PickleBuilder.LegacyFloats(5, declared: 6))))
            .ShouldContain("found 6 in the 20 bytes left. The file is damaged or truncated");
        Open(pickle.ToLegacy(_folder, ("1", PickleBuilder.LegacyFloats(6)))).ShouldContain("'1' is listed but not used");
        Open(pickle.ToLegacy(_folder, ("0", PickleBuilder.LegacyFloats(6)), ("0", PickleBuilder.LegacyFloats(6))))
            .ShouldContain("'0' is listed twice");
        Open(pickle.ToLegacy(_folder)).ShouldContain("storage '0' of 6 F32 is missing");
        Open(PickleBuilder.StateDictionary(elementCount: long.MaxValue)
            .ToLegacy(_folder, ("0", PickleBuilder.LegacyFloats(6, long.MaxValue))))
            .ShouldContain("should have 9223372036854775807 elements");
    }

    [Fact]
    public void Foreign_ZIP_content_is_named()
    {
        var pickle = PickleBuilder.StateDictionary();

        Open(pickle.ToZip(_folder, members: ("byteorder", "big"u8.ToArray()))).ShouldContain("expected little-endian data, found 'big'");
        Open(pickle.ToZip(_folder, members: ("constants.pkl", []))).ShouldContain("found a TorchScript model, expected a state_dict");
        Open(pickle.ToZip(_folder, members: ("sub/data.pkl", []))).ShouldContain("with 2 members named data.pkl");

        string path = _folder.File("arrays.npz");
        using (ZipArchive zip = ZipFile.Open(path, ZipArchiveMode.Create))
        {
            zip.CreateEntry("a.npy");
        }

        Open(path).ShouldContain("found a NumPy archive (.npz)");
    }

    [Fact]
    public void Every_truncation_is_refused()
    {
        foreach (string name in (string[])["formats_nested.pth", "formats_legacy.pth"])
        {
            byte[] whole = File.ReadAllBytes(GoldenFiles.Path(name));
            for (int length = 0; length < whole.Length; length += length % 3 + 1)
            {
                string path = _folder.File("cut.pth", whole.AsSpan(0, length));
                Should.Throw<FileFormatException>(() => TensorArchive.Open(path).Dispose(), $"{name}, {length} bytes");
            }
        }
    }

    /// <summary>Whatever the damage, the answer is tensors or a typed error: no crash, no other exception.</summary>
    [Fact]
    public void Any_flipped_byte_gives_tensors_or_a_typed_error()
    {
        var random = new Random(7);
        foreach (string name in (string[])["formats_zip.pth", "formats_legacy.pth", "formats_protocol4.pth"])
        {
            byte[] whole = File.ReadAllBytes(GoldenFiles.Path(name));
            for (int position = random.Next(5); position < whole.Length; position += random.Next(1, 5))
            {
                byte[] damaged = whole.ToArray();
                damaged[position] ^= (byte)(1 + random.Next(255));
                string path = _folder.File("damaged.pth", damaged);
                try
                {
                    using var archive = PyTorchArchive.Open(path);
                    foreach ((string tensor, TensorEntry entry) in archive.Entries)
                    {
                        if (entry.Type.IsFloating() && entry.ElementCount < 1000)
                        {
                            SafetensorsTests.Read(archive, tensor);
                        }
                    }
                }
                catch (FileFormatException exception)
                {
                    exception.Path.ShouldBe(path);
                }
            }
        }
    }

    private static string Open(string path) => Should.Throw<FileFormatException>(() => TensorArchive.Open(path).Dispose()).Message;

    /// <summary>The numbers of formats_make.py.</summary>
    private static float[] Numbered(int count) => [.. Enumerable.Range(0, count).Select(i => i % 2 == 1 ? -0.25f * i : 0.25f * i)];
}
