using System.IO.Compression;
using System.Text;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;

namespace CudaTrainer.Fuzzer.Readers;

/// <summary>What targets of tensor archives share.</summary>
internal static class Archives
{
    /// <summary>Elements that are read of a tensor; a hostile file may declare more than memory has.</summary>
    private const int MostElements = 1 << 20;

    public static void ReadAll(ITensorArchive archive)
    {
        foreach ((string name, TensorEntry entry) in archive.Entries)
        {
            if (entry.Type.IsFloating() && entry.ElementCount <= MostElements)
            {
                archive.Read(name, new float[entry.ElementCount]);
            }
        }
    }

    public static byte[] Safetensors(IReadOnlyDictionary<string, string>? metadata, params IEnumerable<NamedTensor> tensors)
    {
        using var stream = new MemoryStream();
        SafetensorsWriter.WriteTo(stream, tensors, metadata);
        return stream.ToArray();
    }

    public static IEnumerable<byte[]> SafetensorsSeeds() =>
    [
        Safetensors(null),
        Safetensors(new Dictionary<string, string> { ["model"] = "{\"a\": [1, \"b\"]}" },
            NamedTensor.Of<float>("a", new float[] { 1, 2, 3, 4, 5, 6 }, 2, 3), NamedTensor.Of<Half>("b.c", new Half[] { (Half)1 }, 1),
            NamedTensor.Of<long>("steps", new long[] { 7 }), NamedTensor.Of<byte>("none", Array.Empty<byte>(), 0, 5)),
    ];
}

internal sealed class SafetensorsTarget() : FuzzTarget("safetensors")
{
    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("\"dtype\":", "\"shape\":[", "\"data_offsets\":[", "\"__metadata__\":{",
        "\"F32\"", "\"BF16\"", "\"BOOL\"", "{", "}", "[", "]", ",", "\\ud800", "\\u0000", "\xff");

    public override IEnumerable<byte[]> Seeds() => Archives.SafetensorsSeeds();

    /// <summary>The length of the header, which most changes of the header would contradict.</summary>
    public override byte[] Mend(byte[] input)
    {
        int end = EndOfHeader(input);
        if (end > 0)
        {
            input = [.. input];
            BitConverter.TryWriteBytes(input, (long)end - sizeof(long));
        }

        return input;
    }

    public override void Read(byte[] input, string folder)
    {
        using var archive = Safetensors.Open(FileOf(input, folder));
        foreach (string name in archive.Entries.Keys)
        {
            _ = archive.Bytes(name).Length;
        }

        foreach ((string name, TensorEntry entry) in archive.Entries)
        {
            if (entry.Type.IsFloating())
            {
                archive.Read(name, new float[entry.ElementCount]);
            }
        }
    }

    /// <summary>Behind the brace that closes the first one and the spaces that follow; -1 if there is none.</summary>
    private static int EndOfHeader(ReadOnlySpan<byte> input)
    {
        int depth = 0;
        bool isText = false;
        for (int i = sizeof(long); i < input.Length && (i > sizeof(long) || input[i] == '{'); i++)
        {
            switch ((char)input[i])
            {
                case '\\' when isText:
                    i++;
                    break;
                case '"':
                    isText = !isText;
                    break;
                case '{' when !isText:
                    depth++;
                    break;
                case '}' when !isText && --depth == 0:
                    int spaces = input[(i + 1)..].IndexOfAnyExcept((byte)' ');
                    return spaces < 0 ? input.Length : i + 1 + spaces;
            }
        }

        return -1;
    }
}

internal sealed class NpyTarget() : FuzzTarget("npy")
{
    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("'descr': ", "'fortran_order': False", "'shape': (", "'<f4'", "'|b1'",
        "'<i8'", "'>f8'", "True", ")", ",", "}", "{", "-", "3L", "\xff\xff");

    public override IEnumerable<byte[]> Seeds() =>
    [
        .. Golden("formats_float16.npy"), .. Golden("formats_labels.npy"), .. Golden("formats_scalar.npy"),
            .. Golden("formats_version*.npy"),
        [.. NpyHeader.Build(ElementType.F32, [2, 3]), .. new byte[24]], [.. NpyHeader.Build(ElementType.Bool, [0, 7])],
    ];

    public override void Read(byte[] input, string folder)
    {
        string path = FileOf(input, folder);
        (ElementType type, _) = NpyFile.ReadHeader(path);
        using (MappedNpy array = NpyFile.OpenMapped(path))
        {
            for (long row = 0; row < Math.Min(array.RowCount, 64); row++)
            {
                int sum = 0;
                foreach (byte value in array.Row(row))
                {
                    sum += value;
                }

                if (type.IsFloating())
                {
                    array.ReadRow(row, new float[array.RowLength]);
                }
            }

            array.WillNeed(0, array.RowCount);
        }

        if (type.IsFloating())
        {
            _ = NpyFile.ReadSingle(path);
            _ = type == ElementType.F32 ? NpyFile.Read<float>(path) : null;
        }
        else
        {
            _ = NpyFile.ReadInt64(path);
        }
    }
}

/// <summary>A pickle by itself: the part of PyTorch's files that could hide a program.</summary>
internal sealed class PickleTarget() : FuzzTarget("pickle")
{
    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("ccollections\nOrderedDict\n", "ctorch._utils\n_rebuild_tensor_v2\n",
        "ctorch._utils\n_rebuild_parameter\n", "ctorch\nFloatStorage\n", "ctorch\nSize\n", "(", ")", "R", "Q", "}", "u", "s", "t",
            "\x85", "\x86",
        "\x87", "X\x01\0\0\0a", "K\x01", "\x8a\x01\x01", "q\x01", "h\x01", "\x94", "2", "0", "1", "e", "a", "]", "l", "d", "b", ".",
            "J\xff\xff\xff\x7f");

    /// <summary>Of the golden files: those in archives, and those at the beginnings of legacy files.</summary>
    public override IEnumerable<byte[]> Seeds()
    {
        foreach (byte[] file in PyTorchTarget.Good())
        {
            if (!file.AsSpan().StartsWith(PyTorchArchive.LegacyMagic))
            {
                using var zip = new ZipArchive(new MemoryStream(file));
                using Stream member = zip.Entries.Single(entry => entry.Name == "data.pkl").Open();
                using var pickle = new MemoryStream();
                member.CopyTo(pickle);
                yield return pickle.ToArray();
            }
        }
    }

    public override void Read(byte[] input, string folder)
    {
        object? root = new PickleMachine("input", input).Run();
        _ = StateDictionary.Flatten("input", root);
    }
}

internal sealed class PyTorchTarget() : FuzzTarget("pytorch")
{
    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "PK\x06\x06", "PK\x06\x07",
        "\xff\xff\xff\xff", "/data.pkl", "/data/0", "/byteorder", "little", "/constants.pkl", "\x08\0", "K\x01", "\x8a\x01\x01",
            "ctorch\nHalfStorage\n");

    public static IEnumerable<byte[]> Good() =>
    [
        .. new[] { "formats_zip.pth", "formats_legacy.pth", "formats_nested.pth", "formats_protocol4.pth", "formats_checkpoint.pth",
            "formats_checkpoint_legacy.pth" }.SelectMany(Golden),
    ];

    public override IEnumerable<byte[]> Seeds() => [.. Good(), Zip("NAME", CompressionLevel.Fastest)];

    public override void Read(byte[] input, string folder)
    {
        using var archive = PyTorchArchive.Open(FileOf(input, folder));
        Archives.ReadAll(archive);
    }

    /// <summary>One of the golden files, zipped anew and compressed.</summary>
    private static byte[] Zip(string prefix, CompressionLevel level)
    {
        using var from = new ZipArchive(new MemoryStream(Golden("formats_nested.pth").Single()));
        using var bytes = new MemoryStream();
        using (var to = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (ZipArchiveEntry entry in from.Entries)
            {
                using Stream source = entry.Open(),
                    destination = to.CreateEntry(prefix + entry.FullName[entry.FullName.IndexOf('/')..], level).Open();
                source.CopyTo(destination);
            }
        }

        return bytes.ToArray();
    }
}

/// <summary>Keras's files. Each input takes a child process, in which libhdf5 may crash: then the reader says so, which is no
/// finding.</summary>
internal sealed class Hdf5Target() : FuzzTarget("hdf5")
{
    private static readonly IReadOnlyList<KerasLayer> Layers = Classifiers.Create("frame-mlp", new ClassifierOptions(2)).KerasLayers;

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("layer_names", "weight_names", "model_weights", "cudatrainer_model",
        "TREE", "SNOD",
        "HEAP", "OHDR", "OCHK", "GCOL", "FRHP", "BTHD", "\xff\xff\xff\xff\xff\xff\xff\xff");

    public override IEnumerable<byte[]> Seeds() => [.. new[] { "keras_1.h5", "keras_2.h5", "keras_3.h5" }.SelectMany(Golden), Written()];

    public override void Read(byte[] input, string folder)
    {
        using var archive = H5Archive.Open(FileOf(input, folder, "input.h5"));
        foreach ((string name, TensorEntry entry) in archive.Entries)
        {
            if (entry.ElementCount <= 1 << 16)
            {
                archive.Read(name, new float[entry.ElementCount]);
            }
        }

        if (archive.Layers.Any(layer => layer.Name == Layers[^1].Name))
        {
            using var names = KerasNames.Of(archive, Layers, ignoreRest: true, "hint");
            Archives.ReadAll(names);
        }
    }

    private static byte[] Written()
    {
        string path = Path.GetTempFileName();
        try
        {
            KerasWriter.Write(path, Layers, tensor => new float[Layers.SelectMany(layer => layer.Weights)
                .SelectMany(weight => weight.Tensors).Single(found => found.Name == tensor).Shape
                    .Aggregate(1L, (size, length) => size * length)],
                new Dictionary<string, string> { ["model"] = Encoding.ASCII.GetString("{}"u8) });
            return File.ReadAllBytes(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}

/// <summary>
/// What the child process that reads a Keras file tells of it: whatever a hostile file makes of libhdf5, it must not get at the program.
/// </summary>
internal sealed class Hdf5IndexTarget() : FuzzTarget("hdf5-index")
{
    private const int FileBytes = 256;

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("G\x02\0\0\0/a", "A\x01\0\0\0/\x0b\0\0\0layer_names\x01\0\0\0",
        "D\x04\0\0\0/a/k",
        "layer_names0", "model_weights", "weight_names", "cudatrainer_model", "\x02\x01\x04\0\0\0\0\0\0\0",
            "\xff\xff\xff\xff\xff\xff\xff\xff");

    public override IEnumerable<byte[]> Seeds()
    {
        byte[] layers = Attribute("/", H5Archive.LayerNames, "a", "b"), weights = Attribute("/a", H5Archive.WeightNames, "k", "c/b");
        byte[] plain = [.. Record('G', "/"), .. layers, .. Record('G', "/a"), .. weights, .. Dataset("/a/k", 2, 16, 2, 3),
            .. Dataset("/a/c/b", 3, 64, 4),
            .. Record('G', "/b"), .. Attribute("/b", H5Archive.WeightNames), .. Record('L', "/c"), .. Attribute("/", "cudatrainer_model",
                "{}")];
        yield return plain;
        yield return [.. Record('G', "/"), .. Record('G', "/model_weights"), .. Attribute("/model_weights", H5Archive.LayerNames + "0",
            "a"),
            .. Attribute("/model_weights", H5Archive.LayerNames + "1"), .. Record('G', "/model_weights/a"),
                .. Dataset("/model_weights/a/k", 1, 0, 128)];
    }

    public override void Read(byte[] input, string folder)
    {
        using var stream = new MemoryStream(input);
        var index = Hdf5Index.Parse("input", stream.Read);
        string path = Path.Combine(folder, "file");
        if (!File.Exists(path))
        {
            File.WriteAllBytes(path, new byte[FileBytes]);
        }

        using var file = MappedFile.Open(path);
        using var archive = new H5Archive(Hdf5Library.Native!, file, index);
        foreach ((string name, TensorEntry entry) in archive.Entries)
        {
            if (archive.IsInPlace(name))
            {
                archive.Read(name, new float[entry.ElementCount]);
            }
        }
    }

    private static byte[] Text(string text) => [.. Number(text.Length), .. Encoding.Latin1.GetBytes(text)];

    private static byte[] Number(int number) => BitConverter.GetBytes(number);

    private static byte[] Record(char kind, string path) => [(byte)kind, .. Text(path)];

    private static byte[] Attribute(string path, string name, params string[] texts) =>
        [.. Record('A', path), .. Text(name), .. Number(texts.Length), .. texts.SelectMany(Text)];

    private static byte[] Dataset(string path, byte type, long offset, params long[] shape) =>
        [.. Record('D', path), type, (byte)shape.Length, .. shape.SelectMany(BitConverter.GetBytes), .. BitConverter.GetBytes(offset)];
}
