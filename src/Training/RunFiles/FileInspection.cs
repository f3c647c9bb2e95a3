using System.Runtime.InteropServices;
using System.Text.Json;
using CudaTrainer.Data.Cache;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Training.RunFiles;

/// <summary>Of a tensor's elements that are finite; NaN where there are none.</summary>
/// <param name="NonFinite">Elements that are NaN or infinite.</param>
public sealed record TensorStatistics(double Min, double Mean, double Max, long NonFinite);

/// <param name="Type">Of an element, for example <c>F32</c>.</param>
/// <param name="Statistics">Null where nobody asked, and for integers outside .npy files.</param>
public sealed record InspectedTensor(string Name, string Type, IReadOnlyList<long> Shape, long Elements, long Bytes,
    TensorStatistics? Statistics);

/// <summary>What a file, or a folder of features, holds.</summary>
/// <param name="Format">For people.</param>
/// <param name="Bytes">Size on disk.</param>
/// <param name="Metadata">Text stored beside the tensors.</param>
/// <param name="Model">What a classifier says about itself; null in other files.</param>
public sealed record InspectedFile(
    string Path, string Format, long Bytes, IReadOnlyList<InspectedTensor> Tensors, IReadOnlyDictionary<string, string> Metadata,
    ModelInfo? Model)
{
    public long Elements => Tensors.Sum(tensor => tensor.Elements);
}

/// <summary>
/// Looks into .npy, .safetensors, .ckpt, PyTorch and Keras .h5 files and folders of features, by what they contain. Nothing in them is run.
/// </summary>
public static class FileInspection
{
    private const string ModelKey = "model";
    private const int BlockElements = 1 << 18;

    /// <summary>Lists what is there.</summary>
    /// <param name="statistics">Reads every number too.</param>
    /// <exception cref="FileFormatException">Damaged, hostile or of another kind; says what was found and what is expected.</exception>
    /// <exception cref="CacheException">A folder without features.</exception>
    /// <exception cref="FileNotFoundException">Nothing of that name.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static InspectedFile Inspect(string path, bool statistics, CancellationToken stop)
    {
        if (Directory.Exists(path))
        {
            return Folder(path, statistics, stop);
        }

        if (IsNpy(path))
        {
            return new InspectedFile(path, "NumPy array", new FileInfo(path).Length, [Npy(path, string.Empty, statistics, stop)],
                new Dictionary<string, string>(), null);
        }

        using ITensorArchive archive = TensorArchive.Open(path);
        InspectedTensor[] tensors = [
            .. archive.Entries.Select(
            entry => Describe(entry.Key, entry.Value.Type, entry.Value.Shape,
            statistics ? Measure(archive, entry.Key, entry.Value, stop) : null))];
        return new InspectedFile(path, Format(archive), new FileInfo(path).Length, tensors, archive.Metadata, Model(archive.Metadata));
    }

    private static InspectedFile Folder(string path, bool statistics, CancellationToken stop)
    {
        string[] files = [.. Directory.EnumerateFiles(path, "*.npy").Order(StringComparer.Ordinal)];
        if (files.Length == 0)
        {
            throw new CacheException(
                $"'{path}' holds no .npy file: it is no folder of features. Name a file, a feature cache or a " +
                    $"{SettingName.Of(nameof(TrainingOptions.FeaturesDir))}.");
        }

        CacheInfo cache = CacheInspector.Info(path);
        Dictionary<string, string> key = cache.Splits.Count > 0
            ? cache.Splits[0].Key.ToDictionary(field => field.Key, field => field.Value)
            : [];
        return new InspectedFile(
            path, cache.Splits.Count > 0 ? "feature cache" : "folder of features", files.Sum(file => new FileInfo(file).Length),
            [.. files.Select(file => Npy(file, System.IO.Path.GetFileName(file), statistics, stop))], key, null);
    }

    private static bool IsNpy(string path)
    {
        using SafeFileHandle handle = InputFile.Open(path);
        Span<byte> magic = stackalloc byte[6];
        return RandomAccess.Read(handle, magic, 0) == magic.Length && magic[0] == 0x93 && magic[1..].SequenceEqual("NUMPY"u8);
    }

    private static unsafe InspectedTensor Npy(string path, string name, bool statistics, CancellationToken stop)
    {
        using MappedNpy array = NpyFile.OpenMapped(path);
        if (!statistics)
        {
            return Describe(name, array.ElementType, array.Shape, null);
        }

        var sums = new Sums();
        float[] block = new float[BlockElements];
        long[] integers = new long[BlockElements];
        long count = array.RowCount * array.RowLength;
        for (long first = 0; first < count; first += BlockElements)
        {
            stop.ThrowIfCancellationRequested();
            int length = (int)Math.Min(BlockElements, count - first);
            var bytes = new ReadOnlySpan<byte>(array.Data + (first * array.ElementType.Size()), length * array.ElementType.Size());
            if (array.ElementType.IsFloating())
            {
                ElementConversion.ToSingle(array.ElementType, bytes, block.AsSpan(0, length));
                sums.Add(block.AsSpan(0, length));
            }
            else if (array.ElementType == ElementType.U64)
            {
                sums.Add(MemoryMarshal.Cast<byte, ulong>(bytes));
            }
            else
            {
                ElementConversion.ToInt64(array.ElementType, bytes, integers.AsSpan(0, length));
                sums.Add(integers.AsSpan(0, length));
            }
        }

        return Describe(name, array.ElementType, array.Shape, sums.Statistics);
    }

    private static string Format(ITensorArchive archive) => archive switch
    {
        Safetensors => "safetensors",
        H5Archive => "Keras HDF5",
        _ => "PyTorch",
    };

    /// <summary>
    /// Archives hand out whole tensors, as floats, but HDF5 files: in those a few bytes may stand for a tensor of any size.
    /// </summary>
    private static TensorStatistics? Measure(ITensorArchive archive, string name, TensorEntry entry, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        var sums = new Sums();
        if (archive is H5Archive keras)
        {
            using H5Elements elements = keras.OpenElements(name);
            float[] block = new float[Math.Min(BlockElements, entry.ElementCount)];
            for (long first = 0; first < entry.ElementCount; first += block.Length)
            {
                stop.ThrowIfCancellationRequested();
                Span<float> part = block.AsSpan(0, (int)Math.Min(block.Length, entry.ElementCount - first));
                elements.Read(part);
                sums.Add(part);
            }

            return sums.Statistics;
        }

        if (!entry.Type.IsFloating() || entry.ElementCount > Array.MaxLength)
        {
            return null;
        }

        float[] values = new float[entry.ElementCount];
        archive.Read(name, values);
        sums.Add(values);
        return sums.Statistics;
    }

    private static InspectedTensor Describe(string name, ElementType type, long[] shape, TensorStatistics? statistics)
    {
        ElementTypes.TryCountBytes(shape, type, out long elements, out long bytes);
        return new InspectedTensor(name, type.ToString(), shape, elements, bytes, statistics);
    }

    /// <summary>A file whose model text is not ours is listed all the same.</summary>
    private static ModelInfo? Model(IReadOnlyDictionary<string, string> metadata)
    {
        try
        {
            return metadata.TryGetValue(ModelKey, out string? json) ? StrictJson.Deserialize(json, RunJson.Default.ModelInfo) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private sealed class Sums
    {
        private double _min = double.PositiveInfinity;
        private double _max = double.NegativeInfinity;
        private double _sum;
        private long _finite;
        private long _nonFinite;

        public TensorStatistics Statistics =>
            _finite == 0
                ? new TensorStatistics(double.NaN, double.NaN, double.NaN, _nonFinite)
                : new TensorStatistics(_min, _sum / _finite, _max, _nonFinite);

        public void Add(ReadOnlySpan<float> values)
        {
            foreach (float value in values)
            {
                Add(value);
            }
        }

        /// <summary>Numbers of which half exceed every <see cref="long"/>.</summary>
        public void Add(ReadOnlySpan<ulong> values)
        {
            foreach (ulong value in values)
            {
                Add((double)value);
            }
        }

        public void Add(ReadOnlySpan<long> values)
        {
            foreach (long value in values)
            {
                Add((double)value);
            }
        }

        private void Add(double value)
        {
            if (!double.IsFinite(value))
            {
                _nonFinite++;
                return;
            }

            _min = Math.Min(_min, value);
            _max = Math.Max(_max, value);
            _sum += value;
            _finite++;
        }
    }
}
