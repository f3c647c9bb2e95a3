using System.Text;

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

    /// <summary>Writes a file atomically.</summary>
    /// <param name="path">The destination; Keras takes <c>.weights.h5</c> for another layout.</param>
    /// <param name="layers">All layers in topological order, those without weights too.</param>
    /// <param name="tensors">The tensors that <paramref name="layers"/> name.</param>
    /// <param name="metadata">Free text, in root attributes that Keras ignores.</param>
    /// <exception cref="FileFormatException">libhdf5 is missing or failed.</exception>
    /// <exception cref="IOException">Writing failed; the old file is intact.</exception>
    public static void Write(
        string path, IReadOnlyList<KerasLayer> layers, TensorElements tensors,
        IReadOnlyDictionary<string, string> metadata)
    {
        var native = Hdf5Library.Require(path);
        using var file = AtomicFile.Create(path);
        lock (native.Gate)
        {
            using var writer = new Hdf5Writer(native, file);
            writer.AddTexts("/", H5Archive.LayerNames, [.. layers.Select(layer => layer.Name)]);
            writer.AddText("/", H5Archive.Backend, "tensorflow");
            writer.AddText("/", "keras_version", KerasVersion);
            foreach (var (key, text) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                writer.AddText("/", H5Archive.MetadataPrefix + key, text);
            }

            foreach (var layer in layers)
            {
                AddLayer(writer, layer, tensors);
            }

            // Weights of the model itself, which ours have none of; Keras writes the group all the same.
            AddLayer(writer, new KerasLayer("top_level_model_weights", []), tensors);
            writer.Finish();
        }

        file.Commit();
    }

    private static void AddLayer(Hdf5Writer writer, KerasLayer layer, TensorElements tensors)
    {
        writer.AddGroup("/" + layer.Name);
        writer.AddTexts("/" + layer.Name, H5Archive.WeightNames, [.. layer.Weights.Select(weight => weight.Name)]);
        foreach (var weight in layer.Weights)
        {
            var array = new float[weight.Shape.Aggregate(1L, (product, length) => product * length)];
            foreach (var tensor in weight.Tensors)
            {
                tensor.Conversion.ToKeras(tensors(tensor.Name), array);
            }

            writer.AddFloats($"/{layer.Name}/{weight.Name}", weight.Shape, array);
        }
    }
}

/// <summary>
/// An HDF5 file being written, into the temporary file of an <see cref="AtomicFile"/>. The caller holds the library's lock.
/// </summary>
internal sealed unsafe class Hdf5Writer : IDisposable
{
    private readonly NativeHdf5 _native;
    private readonly string _path;
    private readonly byte[] _message = new byte[NativeHdf5.MessageBytes];
    private nint _writer;

    public Hdf5Writer(NativeHdf5 native, AtomicFile file)
    {
        _native = native;
        _path = file.Path;
        fixed (byte* path = NativeHdf5.Terminated(file.TemporaryPath), message = _message)
        {
            nint writer;
            Check(native.Create(path, &writer, message, _message.Length));
            _writer = writer;
        }
    }

    public void AddGroup(string path)
    {
        fixed (byte* name = NativeHdf5.Terminated(path), message = _message)
        {
            Check(_native.AddGroup(_writer, name, message, _message.Length));
        }
    }

    public void AddFloats(string path, long[] shape, float[] array)
    {
        fixed (byte* name = NativeHdf5.Terminated(path), message = _message)
        fixed (long* dimensions = shape)
        fixed (float* data = array)
        {
            Check(_native.AddFloats(_writer, name, shape.Length, dimensions, data, message, _message.Length));
        }
    }

    public void AddText(string path, string attribute, string text)
    {
        fixed (byte* place = NativeHdf5.Terminated(path), name = NativeHdf5.Terminated(attribute), value = NativeHdf5.Terminated(text),
            message = _message)
        {
            Check(_native.AddText(_writer, place, name, value, message, _message.Length));
        }
    }

    public void AddTexts(string path, string attribute, IReadOnlyList<string> texts)
    {
        var starts = new byte*[texts.Count];
        var all = Encoding.UTF8.GetBytes(string.Concat(texts.Select(text => text + '\0')));
        fixed (byte* place = NativeHdf5.Terminated(path), name = NativeHdf5.Terminated(attribute), first = all, message = _message)
        fixed (byte** values = starts)
        {
            var next = first;
            for (var i = 0; i < starts.Length; i++)
            {
                starts[i] = next;
                next += Encoding.UTF8.GetByteCount(texts[i]) + 1;
            }

            Check(_native.AddTexts(_writer, place, name, starts.Length, values, message, _message.Length));
        }
    }

    /// <summary>Writes what is pending.</summary>
    public void Finish() => Close(commit: 1);

    public void Dispose()
    {
        if (_writer != 0)
        {
            fixed (byte* message = _message)
            {
                _ = _native.Finish(_writer, 0, message, _message.Length);
                _writer = 0;
            }
        }
    }

    private void Close(int commit)
    {
        fixed (byte* message = _message)
        {
            var writer = _writer;
            _writer = 0;
            Check(_native.Finish(writer, commit, message, _message.Length));
        }
    }

    private void Check(int result)
    {
        if (result != 0)
        {
            throw new IOException($"Cannot write '{_path}': HDF5: {NativeHdf5.Message(_message)}.");
        }
    }
}
