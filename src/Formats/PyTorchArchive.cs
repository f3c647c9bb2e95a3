using System.Buffers.Binary;
using System.Text;

namespace CudaTrainer.Formats;

/// <summary>A state_dict written by <c>torch.save</c>, in the ZIP format (PyTorch ≥ 1.6) or the legacy one. Runs no code.</summary>
/// <remarks>
/// ZIP: <c>NAME/data.pkl</c> describes the tensors, <c>NAME/data/KEY</c> hold the storages. Legacy: four pickles (magic number,
/// protocol, system, the object), a pickled list of storage keys, then for each key its int64 element count and its elements
/// (torch/serialization.py). Tensors of nested dicts get dotted names, which <see cref="WrappedModel"/> finds a network in.
/// </remarks>
public sealed class PyTorchArchive : ITensorArchive
{
    internal const string SaveStateDictionary = "In PyTorch run torch.save(model.state_dict(), 'weights.pth') and use that file.";

    private const int MaxPickleBytes = 64 << 20;

    /// <summary>PyTorch never compresses; a file that was zipped anew is inflated in memory up to here.</summary>
    private const long MaxInflatedBytes = 1L << 30;

    /// <summary>Elements of a tensor that repeats those of a smaller storage: a few bytes could stand for more than memory has.</summary>
    private const long MostRepeated = 1 << 24;

    private readonly MappedFile _file;
    private readonly Dictionary<string, StorageContent> _storages;
    private readonly Dictionary<string, PickleTensor> _tensors;

    private PyTorchArchive(MappedFile file, Dictionary<string, StorageContent> storages, Dictionary<string, PickleTensor> tensors)
    {
        _file = file;
        _storages = storages;
        _tensors = tensors;
        Entries = tensors.ToDictionary(pair => pair.Key, pair => Check(pair.Key, pair.Value), StringComparer.Ordinal);
    }

    public string Path => _file.Path;

    public IReadOnlyDictionary<string, TensorEntry> Entries { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    /// <summary>First bytes of a legacy file: the pickled magic number.</summary>
    internal static ReadOnlySpan<byte> LegacyMagic =>
        [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, (byte)'.'];

    /// <summary>Maps a file, evaluates its restricted pickle and checks every tensor against its storage.</summary>
    /// <exception cref="FileFormatException">Damaged, not a state_dict, or it asks for code to be run.</exception>
    public static PyTorchArchive Open(string path)
    {
        var file = MappedFile.Open(path);
        try
        {
            bool isLegacy = file.Length >= LegacyMagic.Length && file.Span(0, LegacyMagic.Length).SequenceEqual(LegacyMagic);
            (object? root, Dictionary<string, StorageContent>? storages) = isLegacy ? ReadLegacy(file) : ReadZip(file);
            return new PyTorchArchive(file, storages, StateDictionary.Flatten(path, root));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public unsafe void Read(string name, Span<float> destination)
    {
        TensorArchive.CheckRead(this, name, destination.Length);
        if (!destination.IsEmpty)
        {
            // Start throws when this archive is disposed; inflated storages alone would not.
            _ = _file.Start;
            PickleTensor tensor = _tensors[name];
            StridedReader.Read(tensor, _storages[tensor.Storage.Key].Load(), destination);
        }
    }

    public void Dispose() => _file.Dispose();

    private static (object? Root, Dictionary<string, StorageContent> Storages) ReadZip(MappedFile file)
    {
        var zip = new MappedZip(file);
        string[] pickles = zip.Members.Keys.Where(name => name.EndsWith("/data.pkl", StringComparison.Ordinal)).ToArray();
        if (pickles is not [var pickleName])
        {
            throw OtherZip(file.Path, zip, pickles.Length);
        }

        string prefix = pickleName[..^"data.pkl".Length];
        if (zip.Members.ContainsKey(prefix + "byteorder")
            && Encoding.ASCII.GetString(zip.Read(prefix + "byteorder", limit: 16)) is var order and not "little")
        {
            throw new FileFormatException(file.Path, $"expected little-endian data, found '{order}'");
        }

        if (zip.Members.ContainsKey(prefix + "constants.pkl"))
        {
            throw new FileFormatException(file.Path, "found a TorchScript model, expected a state_dict", SaveStateDictionary);
        }

        if (zip.Members.Values.Where(member => member.IsDeflated).Aggregate((Int128)0, (sum, member) => sum + member.Length) is var inflated
            && inflated > MaxInflatedBytes)
        {
            throw new FileFormatException(
                file.Path, $"its compressed members inflate to {inflated} bytes, more than {MaxInflatedBytes}", SaveStateDictionary);
        }

        object? root = new PickleMachine(file.Path, zip.Read(pickleName, MaxPickleBytes)).Run();
        string dataPrefix = prefix + "data/";
        var storages = zip.Members
            .Where(pair => pair.Key.StartsWith(dataPrefix, StringComparison.Ordinal))
            .ToDictionary(pair => pair.Key[dataPrefix.Length..], pair => new StorageContent(file, zip, pair.Key, pair.Value));
        return (root, storages);
    }

    private static FileFormatException OtherZip(string path, MappedZip zip, int pickles)
    {
        string[] names = [.. zip.Members.Keys];
        string first = names.Length > 0 ? $", the first '{names[0]}'" : "";
        return pickles > 1
            ? new FileFormatException(path, $"found a ZIP archive with {pickles} members named data.pkl, expected exactly one",
                SaveStateDictionary)
            : names.Any(name => name.EndsWith(".weights.h5", StringComparison.Ordinal))
            ? new FileFormatException(path, "found a '.keras' file of Keras 3, whose layout is another one", H5Archive.SaveHint)
            : names.Length > 0 && names.All(name => name.EndsWith(".npy", StringComparison.Ordinal))
            ? new FileFormatException(path, "found a NumPy archive (.npz), which is no weight file",
                "Save its arrays with safetensors.numpy.save_file(dict(numpy.load('NAME.npz')), 'NAME.safetensors').")
            : new FileFormatException(path, $"found a ZIP archive that torch.save did not write ({names.Length} files{first})",
                $"If the weights lie in it, unpack it first. {SaveStateDictionary}");
    }

    private static (object? Root, Dictionary<string, StorageContent> Storages) ReadLegacy(MappedFile file)
    {
        long position = (long)LegacyMagic.Length;
        if (NextPickle(out _) is not 1001L)
        {
            throw new FileFormatException(file.Path, "expected protocol 1001 of the legacy PyTorch format", SaveStateDictionary);
        }

        if (NextPickle(out _) is not PickleDictionary system || !system.Items.Contains(("little_endian", true)))
        {
            throw new FileFormatException(file.Path, "expected data of a little-endian machine", SaveStateDictionary);
        }

        object? root = NextPickle(out IReadOnlyDictionary<string, PickleStorage> described);
        if (NextPickle(out _) is not List<object?> keys)
        {
            throw new FileFormatException(file.Path, "the list of storages is missing", SaveStateDictionary);
        }

        var storages = new Dictionary<string, StorageContent>(StringComparer.Ordinal);
        foreach (object? key in keys)
        {
            if (key is not string name || !described.TryGetValue(name, out PickleStorage? storage))
            {
                throw new FileFormatException(file.Path, $"storage '{key}' is listed but not used by any tensor", SaveStateDictionary);
            }

            long count = file.Length - position >= sizeof(long)
                ? BinaryPrimitives.ReadInt64LittleEndian(file.Span(position, sizeof(long)))
                : -1;
            position += sizeof(long);
            Int128 bytes = (Int128)storage.ElementCount * storage.Type.Size();
            if (count != storage.ElementCount || bytes > file.Length - position)
            {
                throw new FileFormatException(
                    file.Path,
                    $"storage '{name}' should have {storage.ElementCount} elements of {storage.Type}, found {Math.Max(count, 0)} in " +
                        $"the {Math.Max(file.Length - position, 0)} bytes left",
                    "The file is damaged or truncated: copy or download it again.");
            }

            if (!storages.TryAdd(name, new StorageContent(file, position, (long)bytes)))
            {
                throw new FileFormatException(file.Path, $"storage '{name}' is listed twice", SaveStateDictionary);
            }

            position += (long)bytes;
        }

        return (root, storages);

        object? NextPickle(out IReadOnlyDictionary<string, PickleStorage> described)
        {
            ReadOnlySpan<byte> code = file.Span(position, (int)Math.Min(MaxPickleBytes, file.Length - position));
            var machine = new PickleMachine(file.Path, code);
            object? value = machine.Run();
            described = machine.Storages;
            position += machine.Position;
            return value;
        }
    }

    /// <summary>Everything a read relies on: the view lies in its storage, and the storage in the file.</summary>
    private TensorEntry Check(string name, PickleTensor tensor)
    {
        PickleStorage storage = tensor.Storage;
        if (!_storages.TryGetValue(storage.Key, out StorageContent? content)
            || content.ByteCount != (Int128)storage.ElementCount * storage.Type.Size())
        {
            throw Broken(name, $"its storage '{storage.Key}' of {storage.ElementCount} {storage.Type} is missing or has another size in the file");
        }

        if (tensor.Shape.Length != tensor.Strides.Length
            || tensor.Offset < 0
            || tensor.Strides.Any(stride => stride < 0)
            || !ElementTypes.TryCountBytes(tensor.Shape, storage.Type, out long elements, out _))
        {
            throw Broken(name, $"shape {ElementTypes.Format(tensor.Shape)} with strides {ElementTypes.Format(tensor.Strides)} at {tensor.Offset} is impossible");
        }

        Int128 last = tensor.Offset;
        for (int d = 0; d < tensor.Shape.Length; d++)
        {
            last += ((Int128)tensor.Shape[d] - 1) * tensor.Strides[d];
        }

        if (elements > 0 && last >= storage.ElementCount)
        {
            throw Broken(name, $"it reaches to element {last} of its storage, which has {storage.ElementCount}");
        }

        return elements <= Math.Max(storage.ElementCount, MostRepeated)
            ? new TensorEntry(storage.Type, tensor.Shape)
            : throw Broken(name, $"it makes {elements} elements of the {storage.ElementCount} of its storage");
    }

    private FileFormatException Broken(string name, string message) =>
        new(Path, $"tensor '{name}': {message}", "The file is damaged: copy or download it again.");
}
