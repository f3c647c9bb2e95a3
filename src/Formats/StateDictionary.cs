namespace CudaTrainer.Formats;

/// <summary>Finds the named tensors in what a PyTorch file pickled.</summary>
internal static class StateDictionary
{
    private const int MaxDepth = 16;
    private const int MaxVisits = 1_000_000;
    private const int MaxNameLength = 1024;

    /// <summary>Tensors by dotted name, in order.</summary>
    /// <exception cref="FileFormatException">No dict, no tensors, or two of one name.</exception>
    public static Dictionary<string, PickleTensor> Flatten(string path, object? root)
    {
        if (root is not PickleDictionary dictionary)
        {
            throw new FileFormatException(path, "expected a state_dict, found something other than a dict",
                PyTorchArchive.SaveStateDictionary);
        }

        var named = new List<(string Name, PickleTensor Tensor)>();
        int visits = 0;
        Collect(dictionary, "", 0);
        if (named.Count == 0)
        {
            throw new FileFormatException(path, "there are no tensors in it", PyTorchArchive.SaveStateDictionary);
        }

        var tensors = new Dictionary<string, PickleTensor>(named.Count, StringComparer.Ordinal);
        foreach ((string name, PickleTensor tensor) in named)
        {
            if (!tensors.TryAdd(name, tensor))
            {
                throw new FileFormatException(path, $"two tensors are named '{name}'", PyTorchArchive.SaveStateDictionary);
            }
        }

        return tensors;

        // Shared dicts, dicts within themselves and shared keys cost a pickle nothing, so everything is limited.
        void Collect(PickleDictionary parent, string parentName, int depth)
        {
            if (depth > MaxDepth)
            {
                throw new FileFormatException(path, $"its dicts are nested more than {MaxDepth} deep", PyTorchArchive.SaveStateDictionary);
            }

            foreach ((object? key, object? value) in parent.Items)
            {
                if (++visits > MaxVisits)
                {
                    throw new FileFormatException(path, $"it holds more than {MaxVisits} values", PyTorchArchive.SaveStateDictionary);
                }

                if (key is not (string or long) || value is not (PickleTensor or PickleDictionary))
                {
                    continue;
                }

                string name = $"{parentName}{key}";
                if (name.Length > MaxNameLength)
                {
                    throw new FileFormatException(path, $"a tensor's name is longer than {MaxNameLength} characters",
                        PyTorchArchive.SaveStateDictionary);
                }

                if (value is PickleTensor tensor)
                {
                    named.Add((name, tensor));
                }
                else
                {
                    Collect((PickleDictionary)value, name + ".", depth + 1);
                }
            }
        }
    }
}
