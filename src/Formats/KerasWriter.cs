using System.Reflection;
using System.Runtime.ExceptionServices;
using System.Text;
using PureHDF;

namespace CudaTrainer.Formats;

/// <summary>Delivers a tensor's elements, row-major; valid until the next call.</summary>
public delegate ReadOnlySpan<float> TensorElements(string name);

/// <summary>
/// Writes weight files that Keras loads with <c>load_weights</c>: the legacy HDF5 layout. The same arguments give the same bytes.
/// </summary>
public static class KerasWriter
{
    /// <summary>Both lines of Keras read files of this version; without one they would take the file for Keras 1.</summary>
    private const string KerasVersion = "2.15.0";
    private const string Backend = "tensorflow";

    /// <summary>Bytes; HDF5's own limit is 64 KiB with its header.</summary>
    private const int LargestAttribute = 60_000;

    /// <summary>Writes a file atomically.</summary>
    /// <param name="path">The destination; Keras takes <c>.weights.h5</c> for another layout.</param>
    /// <param name="layers">All layers in topological order, those without weights too.</param>
    /// <param name="tensors">The tensors that <paramref name="layers"/> name.</param>
    /// <param name="metadata">Free text, in root attributes that Keras ignores.</param>
    /// <exception cref="IOException">Writing failed; the old file is intact.</exception>
    public static void Write(
        string path, IReadOnlyList<KerasLayer> layers, TensorElements tensors, IReadOnlyDictionary<string, string> metadata)
    {
        H5File file = new();
        file.Attributes[H5Archive.LayerNames] = Texts([.. layers.Select(layer => layer.Name)]);
        file.Attributes[H5Archive.Backend] = Backend;
        file.Attributes["keras_version"] = KerasVersion;
        foreach ((string key, string text) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            file.Attributes[H5Archive.MetadataPrefix + key] = text;
        }

        // Keras also writes a group for weights of the model itself, which ours have none of.
        List<(H5Dataset<float[]> Dataset, KerasWeight Weight)> arrays = [];
        foreach (KerasLayer layer in layers.Append(new KerasLayer("top_level_model_weights", [])))
        {
            H5Group group = Group(file, layer.Name);
            group.Attributes[H5Archive.WeightNames] = Texts([.. layer.Weights.Select(weight => weight.Name)]);
            foreach (KerasWeight weight in layer.Weights)
            {
                H5Dataset<float[]> dataset = new([.. weight.Shape.Select(length => (ulong)length)]);
                string[] parts = weight.Name.Split('/');
                parts[..^1].Aggregate(group, Group).Add(parts[^1], dataset);
                arrays.Add((dataset, weight));
            }
        }

        AtomicFile.Write(path, stream =>
        {
            try
            {
                // Compact arrays would lie within headers, where they cannot be read from the mapped file.
                var options = new H5WriteOptions(PreferCompactDatasetLayout: false, DefaultStringLength: TextLength(layers, metadata));
                using H5NativeWriter writer = file.BeginWrite(stream, options);
                foreach ((H5Dataset<float[]> dataset, KerasWeight weight) in arrays)
                {
                    writer.Write(dataset, Convert(weight, tensors));
                }
            }
            catch (TargetInvocationException exception) when (exception.InnerException is { } cause)
            {
                // PureHDF calls itself by reflection, which wraps errors of the disk.
                ExceptionDispatchInfo.Throw(cause);
            }
        });
    }

    /// <summary>
    /// Bytes of every text of the file: as Keras's own, they have a fixed length, which h5py gives as bytes; PureHDF has one for a file.
    /// 0 where lists of names would outgrow what an attribute holds; texts then are of variable length.
    /// </summary>
    private static int TextLength(IReadOnlyList<KerasLayer> layers, IReadOnlyDictionary<string, string> metadata)
    {
        int longest = layers.SelectMany(layer => layer.Weights.Select(weight => weight.Name).Append(layer.Name))
            .Concat(metadata.Values).Append(KerasVersion).Append(Backend).Max(Encoding.UTF8.GetByteCount);
        return longest * layers.Count <= LargestAttribute ? longest : 0;
    }

    /// <summary>An attribute of texts; none are an empty array of numbers, as NumPy makes of an empty list.</summary>
    private static object Texts(IReadOnlyList<string> texts) => texts.Count > 0 ? texts.ToArray() : Array.Empty<double>();

    /// <summary>The group of a name below another one, made if it is missing.</summary>
    private static H5Group Group(H5Group parent, string name)
    {
        if (!parent.TryGetValue(name, out object? group))
        {
            parent.Add(name, group = new H5Group());
        }

        return (H5Group)group;
    }

    private static float[] Convert(KerasWeight weight, TensorElements tensors)
    {
        float[] array = new float[weight.Shape.Aggregate(1L, (product, length) => product * length)];
        foreach (KerasTensor tensor in weight.Tensors)
        {
            tensor.Conversion.ToKeras(tensors(tensor.Name), array);
        }

        return array;
    }
}
