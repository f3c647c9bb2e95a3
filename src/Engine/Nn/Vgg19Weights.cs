using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Nn;

/// <summary>VGG19 weights from a file, under torchvision's names and in its layouts, whatever the file's spelling.</summary>
public sealed class Vgg19Weights : IVgg19WeightSource, IDisposable
{
    private const int ListedProblems = 40;
    private const string KerasSource = "Keras";

    private readonly ITensorArchive _archive;
    private readonly Dictionary<string, string> _nameInFile;
    private readonly Lazy<string> _sha256;

    private Vgg19Weights(ITensorArchive archive, Dictionary<string, string> nameInFile, string source)
    {
        _archive = archive;
        _nameInFile = nameInFile;
        Source = source;
        _sha256 = new Lazy<string>(() => FileHash.Sha256(archive.Path));
    }

    public string Path => _archive.Path;

    /// <summary>Whose spelling the file uses: <c>torchvision</c>, <c>timm</c> or <c>Keras</c>.</summary>
    public string Source { get; }

    /// <summary>How the frames were prepared that the network was trained on: Keras's weights come from Caffe.</summary>
    public string Preprocess => Source == KerasSource ? "caffe" : "torch";

    /// <summary>SHA-256 of the file, computed on first use (a third of a second to two seconds for the 575 MB of a full VGG19).</summary>
    public string Sha256 => _sha256.Value;

    public string Identity => $"vgg19-sha256-{Sha256}";

    public string Description => $"VGG19 weights from '{Path}' ({Source} names{WrappedModel.PlaceOf(_archive)})";

    /// <summary>Opens a weight file of any accepted format (<see cref="TensorArchive.Open"/>) and checks names, types and shapes.</summary>
    /// <exception cref="FileFormatException">Lists every missing, unexpected and mis-shaped tensor.</exception>
    public static Vgg19Weights Open(string path)
    {
        ITensorArchive archive = TensorArchive.Open(path);
        try
        {
            return From(archive);
        }
        catch
        {
            archive.Dispose();
            throw;
        }
    }

    /// <inheritdoc cref="Open"/>
    /// <summary>Checks an open archive and, if it fits, takes it over.</summary>
    public static Vgg19Weights From(ITensorArchive archive)
    {
        if (archive is H5Archive keras)
        {
            return new Vgg19Weights(KerasVgg19.Rename(keras), Vgg19Names.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Name),
                KerasSource);
        }

        bool isTimm = archive.Entries.Keys.Any(name => name.Split('.').Contains("pre_logits"));
        archive = WrappedModel.Unwrap(archive, Vgg19Names.Tensors
            .Select(tensor => isTimm ? TimmSpelling(tensor.Name, tensor.Shape).Name : tensor.Name).ToHashSet(StringComparer.Ordinal));
        var nameInFile = new Dictionary<string, string>(StringComparer.Ordinal);
        var problems = new List<string>();
        foreach ((string canonical, long[] canonicalShape) in Vgg19Names.Tensors)
        {
            (string name, long[] shape) = isTimm ? TimmSpelling(canonical, canonicalShape) : (canonical, canonicalShape);
            nameInFile.Add(canonical, name);
            if (!archive.Entries.TryGetValue(name, out TensorEntry? entry))
            {
                problems.Add($"missing {name} {ElementTypes.Format(shape)}");
            }
            else if (!entry.Shape.AsSpan().SequenceEqual(shape) || !entry.Type.IsFloating())
            {
                problems.Add($"{name}: expected floating-point {ElementTypes.Format(shape)}, found {entry}");
            }
        }

        var known = nameInFile.Values.ToHashSet(StringComparer.Ordinal);
        problems.AddRange(archive.Entries
            .Where(pair => !known.Contains(pair.Key) && !Vgg19Names.IsUnusedHead(pair.Key))
            .Select(pair => $"unexpected {pair.Key} {ElementTypes.Format(pair.Value.Shape)}"));
        return problems.Count == 0
            ? new Vgg19Weights(archive, nameInFile, isTimm ? "timm" : "torchvision")
            : throw new FileFormatException(archive.Path, Describe(problems, archive), Hint(archive));
    }

    /// <summary>Reads a tensor and makes sure that every element is finite.</summary>
    /// <param name="canonicalName">One of <see cref="Vgg19Names.Tensors"/>.</param>
    /// <param name="destination">As many floats as that shape has elements; fc1 in C·H·W order.</param>
    /// <exception cref="FileFormatException">An element is NaN or infinite; names tensor and index.</exception>
    public void Read(string canonicalName, Span<float> destination)
    {
        if (!_nameInFile.TryGetValue(canonicalName, out string? name))
        {
            throw new ArgumentException($"'{canonicalName}' is no tensor of VGG19.", nameof(canonicalName));
        }

        _archive.Read(name, destination);
        if (IndexOfNonFinite(destination) is >= 0 and var flat)
        {
            long[] index = Unravel(flat, _archive.Entries[name].Shape);
            throw new FileFormatException(
                Path, $"tensor '{name}': element {ElementTypes.Format(index)} is {destination[flat]}",
                    "The file is damaged: download it again.");
        }
    }

    public void Dispose() => _archive.Dispose();

    private static (string Name, long[] Shape) TimmSpelling(string canonical, long[] canonicalShape)
    {
        foreach ((string name, string timm, long[] shape) in Vgg19Names.TimmSpellings)
        {
            if (name == canonical)
            {
                return (timm, shape);
            }
        }

        return (canonical, canonicalShape);
    }

    private static string Describe(List<string> problems, ITensorArchive archive)
    {
        string rest = problems.Count > ListedProblems ? $"; and {problems.Count - ListedProblems} more" : "";
        string listed = string.Join("; ", problems.Take(ListedProblems));
        return $"these are not the weights of a VGG19{WrappedModel.PlaceOf(archive)}: {listed}{rest}";
    }

    private static string Hint(ITensorArchive archive) =>
        archive.Entries.Keys.Any(name => name.EndsWith(".running_mean", StringComparison.Ordinal))
            ? "It has batch normalisation; take the VGG19 without ('vgg19', not 'vgg19_bn')."
            : "Accepted is the state_dict of torchvision's or timm's 'vgg19'.";

    /// <summary>A float is finite when its exponent is not all ones.</summary>
    private static int IndexOfNonFinite(ReadOnlySpan<float> values)
    {
        ReadOnlySpan<int> bits = MemoryMarshal.Cast<float, int>(values);
        int i = 0;
        var magnitude = Vector256.Create(int.MaxValue);
        var largest = Vector256.Create(BitConverter.SingleToInt32Bits(float.MaxValue));
        for (; i <= bits.Length - Vector256<int>.Count; i += Vector256<int>.Count)
        {
            if (Vector256.GreaterThanAny(Vector256.Create(bits[i..]) & magnitude, largest))
            {
                break;
            }
        }

        for (; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
            {
                return i;
            }
        }

        return -1;
    }

    private static long[] Unravel(long flat, long[] shape)
    {
        long[] index = new long[shape.Length];
        for (int d = shape.Length - 1; d >= 0; d--)
        {
            (flat, index[d]) = Math.DivRem(flat, shape[d]);
        }

        return index;
    }
}
