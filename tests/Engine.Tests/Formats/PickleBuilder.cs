using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

/// <summary>Writes pickles, instruction by instruction, and puts them into PyTorch files.</summary>
internal sealed class PickleBuilder
{
    private readonly List<byte> _code = [0x80, 2];

    public static PickleBuilder Empty => new();

    /// <summary>A tensor in a state_dict, with everything about it free to be wrong.</summary>
    public static PickleBuilder StateDictionary(
        long offset = 0, long[]? shape = null, long[]? strides = null, string storageType = "FloatStorage", string key = "0",
        long elementCount = 6) =>
        Empty.Op('}').Text("w")
            .Global("torch._utils", "_rebuild_tensor_v2").Op('(')
            .Storage(storageType, key, elementCount)
            .Integer(offset).Integers(shape ?? [2, 3]).Integers(strides ?? [3, 1])
            .Op('\x89').Global("collections", "OrderedDict").Op(')').Op('R')
            .Op('t').Op('R')
            .Op('s').Op('.');

    public PickleBuilder Op(char opcode, params ReadOnlySpan<byte> operand)
    {
        _code.Add((byte)opcode);
        _code.AddRange(operand);
        return this;
    }

    public PickleBuilder Text(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return Op('X', [.. BitConverter.GetBytes(bytes.Length), .. bytes]);
    }

    public PickleBuilder Integer(long value) => Op('\x8a', [8, .. BitConverter.GetBytes(value)]);

    public PickleBuilder Integers(long[] values)
    {
        Op('(');
        foreach (long value in values)
        {
            Integer(value);
        }

        return Op('t');
    }

    public PickleBuilder Global(string module, string name) => Op('c', Encoding.UTF8.GetBytes($"{module}\n{name}\n"));

    public PickleBuilder Storage(string type, string key, long elementCount) =>
        Op('(').Text("storage").Global("torch", type).Text(key).Text("cpu").Integer(elementCount).Op('t').Op('Q');

    public PickleBuilder Repeat(int count, Action<PickleBuilder> write)
    {
        for (int i = 0; i < count; i++)
        {
            write(this);
        }

        return this;
    }

    public byte[] ToArray() => [.. _code];

    /// <summary>A file in the ZIP format with the given members beside the pickle, named below the archive's folder.</summary>
    public string ToZip(TemporaryFolder folder, CompressionLevel compression = CompressionLevel.NoCompression,
        params (string Name, byte[] Content)[] members)
    {
        string path = folder.File("model.pth");
        using FileStream stream = File.Create(path);
        using var zip = new ZipArchive(stream, ZipArchiveMode.Create);
        foreach ((string name, byte[] content) in members.Prepend(("data.pkl", ToArray())))
        {
            using Stream entry = zip.CreateEntry($"archive/{name}", compression).Open();
            entry.Write(content);
        }

        return path;
    }

    /// <summary>A file in the legacy format; each storage is its key and what follows the list of keys for it.</summary>
    public string ToLegacy(TemporaryFolder folder, params (string Key, byte[] Content)[] storages)
    {
        PickleBuilder system = Empty.Op('}').Text("little_endian").Op('\x88').Op('s').Op('.');
        PickleBuilder keys = Empty.Op(']').Op('(');
        foreach ((string key, _) in storages)
        {
            keys.Text(key);
        }

        keys.Op('e').Op('.');
        return folder.File(
            "model.pth",
            [
                .. PyTorchArchive.LegacyMagic, .. Empty.Op('M', 0xe9, 0x03).Op('.').ToArray(), .. system.ToArray(), .. ToArray(),
                .. keys.ToArray(), .. storages.SelectMany(storage => storage.Content),
            ]);
    }

    /// <summary>0, 1, 2… as a legacy file stores them: their number, then the floats.</summary>
    public static byte[] LegacyFloats(int count, long? declared = null)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, declared ?? count);
        return [.. bytes, .. Floats(count)];
    }

    /// <summary>0, 1, 2… as bytes.</summary>
    public static byte[] Floats(int count) => [.. Enumerable.Range(0, count).SelectMany(i => BitConverter.GetBytes((float)i))];
}
