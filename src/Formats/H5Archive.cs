using System.Globalization;

namespace CudaTrainer.Formats;

/// <summary>A layer of a Keras file.</summary>
/// <param name="Name">As in <c>layer_names</c>.</param>
/// <param name="Weights">Keys of <see cref="ITensorArchive.Entries"/> in the order of <c>weight_names</c>; empty for layers without
/// weights.</param>
public sealed record H5Layer(string Name, IReadOnlyList<string> Weights);

/// <summary>A Keras weight file in the legacy HDF5 layout, by Keras 1 to 3 or by <see cref="KerasWriter"/>.</summary>
/// <remarks>
/// <c>layer_names</c> at the root or, in a file of <c>Model.save</c>, in <c>model_weights</c> lists the layers in topological order;
/// <c>weight_names</c> of each layer's group lists its datasets, by paths relative to that group. Entries are keyed by the path below the
/// group of <c>layer_names</c>, for example <c>lstm_1/lstm_1/lstm_cell/kernel:0</c>. Contiguous datasets are read from the mapped file;
/// others by libhdf5 in a child process. Links are never followed.
/// </remarks>
public sealed class H5Archive : ITensorArchive
{
    /// <summary>Root attributes with this prefix are <see cref="Metadata"/>, under the rest of their names. Keras ignores them.</summary>
    internal const string MetadataPrefix = "cudatrainer_";

    internal const string LayerNames = "layer_names";
    internal const string WeightNames = "weight_names";
    internal const string Backend = "backend";
    internal const string WeightsGroup = "model_weights";

    /// <summary>What to do about Keras's other layouts.</summary>
    internal const string SaveHint =
        "Save the weights with Keras as model.save_weights('NAME.h5') or model.save('NAME.h5'), not as '.weights.h5' or '.keras'.";

    private readonly NativeHdf5 _native;
    private readonly MappedFile _file;
    private readonly string _root;
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _offsets = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);
    private readonly List<H5Layer> _layers = [];

    internal H5Archive(NativeHdf5 native, MappedFile file, Hdf5Index index)
    {
        _native = native;
        _file = file;
        _root = index.Texts("/", LayerNames) is null && index.Texts("/", LayerNames + "0") is null && index.HasGroup("/" + WeightsGroup)
            ? "/" + WeightsGroup
            : "";
        string[] names = Split(index, Group(""), LayerNames)
            ?? throw new FileFormatException(Path,
            $"there is no attribute '{LayerNames}', so it is no Keras weight file in the legacy layout", SaveHint);
        KerasBackend = index.Texts(Group(""), Backend) is [var backend] ? backend : null;
        foreach ((string name, string[] texts) in index.AttributesOf("/"))
        {
            if (name.StartsWith(MetadataPrefix, StringComparison.Ordinal) && texts is [var text])
            {
                _metadata[name[MetadataPrefix.Length..]] = text;
            }
        }

        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (string name in names)
        {
            if (!known.Add(name))
            {
                throw new FileFormatException(Path, $"layer '{name}' is listed twice");
            }

            _layers.Add(ReadLayer(index, name));
        }
    }

    public string Path => _file.Path;

    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>In topological order.</summary>
    public IReadOnlyList<H5Layer> Layers => _layers;

    /// <summary>For example <c>tensorflow</c>; null in files that do not say.</summary>
    public string? KerasBackend { get; }

    /// <exception cref="FileFormatException">libhdf5 is missing, or the file is damaged, unsafe or no Keras weight file.</exception>
    public static H5Archive Open(string path)
    {
        NativeHdf5 native = Hdf5Library.Require(path);
        var file = MappedFile.Open(path);
        try
        {
            return new H5Archive(native, file, Hdf5Index.Read(native, path));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Read(string name, Span<float> destination)
    {
        TensorArchive.CheckRead(this, name, destination.Length);
        using H5Elements elements = OpenElements(name);
        elements.Read(destination);
    }

    /// <summary>Whether the elements of a tensor lie in the file as they are, so that no child process reads them.</summary>
    internal bool IsInPlace(string name) => _offsets[name] != Hdf5Dataset.ReadByLibrary;

    /// <summary>The elements of a tensor in row-major order, to be read piece by piece.</summary>
    internal H5Elements OpenElements(string name)
    {
        if (!_entries.TryGetValue(name, out TensorEntry? entry))
        {
            throw new FileFormatException(Path, $"there is no tensor '{name}'");
        }

        return IsInPlace(name)
            ? new H5Elements(_file, _offsets[name], entry)
            : new H5Elements(Hdf5Stream.OpenData(_native, Path, Group(name)));
    }

    public void Dispose() => _file.Dispose();

    private string Group(string name) => name.Length == 0 && _root.Length == 0 ? "/" : name.Length == 0 ? _root : $"{_root}/{name}";

    /// <summary>A list of names; Keras cuts long ones into attributes NAME0, NAME1, ….</summary>
    private static string[]? Split(Hdf5Index index, string group, string name)
    {
        if (index.Texts(group, name) is { } whole)
        {
            return whole;
        }

        List<string>? names = null;
        for (int i = 0; index.Texts(group, name + i.ToString(CultureInfo.InvariantCulture)) is { } part; i++)
        {
            (names ??= []).AddRange(part);
        }

        return names?.ToArray();
    }

    private H5Layer ReadLayer(Hdf5Index index, string layer)
    {
        string group = Group(layer);
        if (!index.HasGroup(group))
        {
            throw new FileFormatException(Path,
                index.Links.Contains(group)
                ? $"layer '{layer}' is a link, which is not followed"
                : $"there is no group of layer '{layer}'");
        }

        // Keras takes a missing list for an empty one; then the datasets, if any, are found by what they are called.
        IEnumerable<string> paths = Split(index, group, WeightNames)?.Select(name => $"{group}/{name}")
            ?? index.Datasets.Keys.Where(path => path.StartsWith(group + "/", StringComparison.Ordinal));
        var weights = new List<string>();
        foreach (string path in paths)
        {
            string name = path[(_root.Length + 1)..];
            AddEntry(index, path, name);
            weights.Add(name);
        }

        return new H5Layer(layer, weights);
    }

    private void AddEntry(Hdf5Index index, string path, string name)
    {
        if (!index.Datasets.TryGetValue(path, out Hdf5Dataset? dataset))
        {
            throw new FileFormatException(Path, $"weight '{name}' is listed but not there, or a link, which is not followed");
        }

        if (dataset.Entry is not { } entry)
        {
            throw new FileFormatException(Path, $"weight '{name}' is no array of 16-, 32- or 64-bit floating-point numbers");
        }

        if (dataset.Offset == Hdf5Dataset.NotReadable)
        {
            throw new FileFormatException(Path,
                $"weight '{name}' lies in another file, in chunks that are too large, or behind a filter that is not here", SaveHint);
        }

        long bytes = entry.ElementCount * entry.Type.Size();
        if (dataset.Offset >= 0 && (bytes > _file.Length || dataset.Offset > _file.Length - bytes))
        {
            throw new FileFormatException(Path, $"weight '{name}' {entry} exceeds the file",
                "The file is truncated: copy or download it again.");
        }

        if (!_entries.TryAdd(name, entry))
        {
            throw new FileFormatException(Path, $"weight '{name}' is listed twice");
        }

        _offsets.Add(name, dataset.Offset);
    }
}

/// <summary>The elements of a stored tensor one after another, converted to float.</summary>
internal sealed class H5Elements : IDisposable
{
    private readonly Hdf5Stream? _stream;
    private readonly MappedFile? _file;
    private readonly ElementType _type;
    private long _offset;

    public H5Elements(Hdf5Stream stream) => _stream = stream;

    public H5Elements(MappedFile file, long offset, TensorEntry entry)
    {
        _file = file;
        _offset = offset;
        _type = entry.Type;
        file.WillNeed(offset, entry.ElementCount * entry.Type.Size());
    }

    /// <summary>Fills the destination with the next elements, of which there must be enough.</summary>
    public unsafe void Read(Span<float> destination)
    {
        if (_stream is not null)
        {
            _stream.ReadExactly(destination);
            return;
        }

        ElementConversion.ToSingle(_type, _file!.Start + _offset, destination);
        _offset += (long)destination.Length * _type.Size();
    }

    public void Dispose() => _stream?.Dispose();
}
