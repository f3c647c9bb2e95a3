namespace CudaTrainer.Formats;

/// <summary>A Keras file seen under our names and in our layouts. Disposing it closes the file.</summary>
/// <remarks>
/// Layers are found by name if the file, or a model that is one of its layers, has all of them, else by position among the layers with
/// weights, as Keras does; the weights of a layer by the last part of their names if those are known, else by position. So every spelling
/// of names that Keras ever had is accepted.
/// </remarks>
public sealed class KerasNames : ITensorArchive
{
    private const int ListedProblems = 12;

    /// <summary>Elements converted at a time; they stay in a processor's cache.</summary>
    private const int BlockElements = 1 << 18;

    private readonly H5Archive _archive;
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string Entry, KerasConversion Conversion)> _places = new(StringComparer.Ordinal);

    private KerasNames(H5Archive archive) => _archive = archive;

    public string Path => _archive.Path;

    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    public IReadOnlyDictionary<string, string> Metadata => _archive.Metadata;

    /// <param name="archive">The file.</param>
    /// <param name="layers">The layers that a model has, in topological order; those without weights do not count.</param>
    /// <param name="ignoreRest">Whether the file may have more layers with weights behind these.</param>
    /// <param name="hint">What to do about a file that does not fit.</param>
    /// <exception cref="FileFormatException">Layers, number of weights or shapes differ; lists every difference.</exception>
    public static KerasNames Of(H5Archive archive, IReadOnlyList<KerasLayer> layers, bool ignoreRest, string hint)
    {
        layers = [.. layers.Where(layer => layer.Weights.Count > 0)];
        var view = new KerasNames(archive);
        var problems = new List<string>();
        List<H5Layer> found = FindLayers(archive, layers, ignoreRest, hint);
        for (int i = 0; i < layers.Count; i++)
        {
            view.AddLayer(layers[i], found[i], problems);
        }

        return problems.Count == 0
            ? view
            : throw new FileFormatException(
                archive.Path,
                $"it does not fit the model: {string.Join("; ", problems.Take(ListedProblems))}{(problems.Count > ListedProblems ? $"; and {problems.Count - ListedProblems} more" : "")}",
                hint);
    }

    public void Read(string name, Span<float> destination)
    {
        TensorArchive.CheckRead(this, name, destination.Length);
        (string entry, KerasConversion conversion) = _places[name];
        using H5Elements elements = _archive.OpenElements(entry);
        int blockRows = Math.Clamp(BlockElements / conversion.Columns, 1, conversion.Rows);
        float[] block = new float[blockRows * conversion.Columns];
        for (int row = 0; row < conversion.FirstRow; row++)
        {
            elements.Read(block.AsSpan(0, conversion.Columns));
        }

        for (int row = 0; row < conversion.Rows; row += blockRows)
        {
            Span<float> part = block.AsSpan(0, Math.Min(blockRows, conversion.Rows - row) * conversion.Columns);
            elements.Read(part);
            conversion.FromKeras(row, part, destination);
        }
    }

    public void Dispose() => _archive.Dispose();

    private static List<H5Layer> FindLayers(H5Archive archive, IReadOnlyList<KerasLayer> layers, bool ignoreRest, string hint)
    {
        var weighted = archive.Layers.Where(layer => layer.Weights.Count > 0).ToList();
        foreach (List<H5Layer> candidates in weighted.Select(Inner).Prepend(weighted))
        {
            var byName = candidates.ToDictionary(layer => layer.Name, StringComparer.Ordinal);
            if (layers.All(layer => byName.ContainsKey(layer.Name)) && (ignoreRest || candidates.Count == layers.Count))
            {
                return [.. layers.Select(layer => byName[layer.Name])];
            }
        }

        return weighted.Count == layers.Count || (ignoreRest && weighted.Count > layers.Count)
            ? weighted
            : throw new FileFormatException(
                archive.Path,
                $"it has {weighted.Count} layers with weights ({string.Join(", ", weighted.Take(30).Select(layer => layer.Name))}), " +
                    $"expected {layers.Count} ({string.Join(", ", layers.Select(layer => layer.Name))})",
                hint);
    }

    /// <summary>The layers of a model that was used as a layer of another one, which lists all their weights together.</summary>
    private static List<H5Layer> Inner(H5Layer outer) => [.. outer.Weights
        .GroupBy(weight => weight[(outer.Name.Length + 1)..].Split('/')[0])
        .Select(weights => new H5Layer(weights.Key, [.. weights]))];

    private void AddLayer(KerasLayer expected, H5Layer found, List<string> problems)
    {
        if (found.Weights.Count != expected.Weights.Count)
        {
            problems.Add($"layer '{found.Name}' has {found.Weights.Count} weights, expected {expected.Weights.Count}");
            return;
        }

        string[] wanted = expected.Weights.Select(weight => LastPart(weight.Name)).ToArray();
        string[] given = found.Weights.Select(LastPart).ToArray();
        bool known = wanted.Distinct().Count() == wanted.Length
            && wanted.Order(StringComparer.Ordinal).SequenceEqual(given.Order(StringComparer.Ordinal));
        for (int i = 0; i < wanted.Length; i++)
        {
            KerasWeight weight = expected.Weights[i];
            string name = found.Weights[known ? Array.IndexOf(given, wanted[i]) : i];
            TensorEntry entry = _archive.Entries[name];
            if (!entry.Shape.AsSpan().SequenceEqual(weight.Shape))
            {
                problems.Add($"{name} is {entry}, expected {ElementTypes.Format(weight.Shape)}");
                continue;
            }

            foreach (KerasTensor tensor in weight.Tensors)
            {
                _entries.Add(tensor.Name, new TensorEntry(entry.Type, tensor.Shape));
                _places.Add(tensor.Name, (name, tensor.Conversion));
            }
        }
    }

    /// <summary><c>kernel</c> of <c>lstm_1/lstm_cell/kernel:0</c>.</summary>
    private static string LastPart(string name)
    {
        string last = name[(name.LastIndexOf('/') + 1)..];
        int colon = last.LastIndexOf(':');
        return colon < 0 ? last : last[..colon];
    }
}
