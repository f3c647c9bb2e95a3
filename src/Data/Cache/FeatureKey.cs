using System.Globalization;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Everything besides a video's content that its features depend on. Features of different keys never mix.</summary>
public sealed record FeatureKey
{
    private const string FormatVersion = "1";

    /// <summary>T: frames sampled from a video.</summary>
    public required int Frames { get; init; }

    /// <summary>D: features of a frame.</summary>
    public required int Dimension { get; init; }

    /// <summary>F32 or F16.</summary>
    public ElementType ElementType { get; init; } = ElementType.F32;

    /// <summary>Name and version of the rule that chooses the frames.</summary>
    public string Sampling { get; init; } = "linspace-floor 1";

    /// <summary>Augmented views of a video that follow each other in a row; 1 for the plain frames.</summary>
    public int Views { get; init; } = 1;

    /// <summary>How videos are looked at, where not as they are; null otherwise, and then no part of the key.</summary>
    public string? View { get; init; }

    /// <summary>Size and interpolation of a frame before it enters the network.</summary>
    public string Resize { get; init; } = "224x224 bilinear";

    /// <summary>torch or caffe (channel order, mean and scale).</summary>
    public required string Preprocessing { get; init; }

    /// <summary>Network, layer and a hash of its weights, or its seed.</summary>
    public required string Backbone { get; init; }

    /// <summary>Elements of one video's features: views × T × D.</summary>
    public int RowElements => checked(Views * Frames * Dimension);

    /// <summary>Bytes of one video's features.</summary>
    public int RowBytes => checked(RowElements * ElementType.Size());

    /// <summary>Names and values, in the order in which they are shown and stored.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Fields =>
    [
        new("format", FormatVersion),
        new("frames", Frames.ToString(CultureInfo.InvariantCulture)),
        new("dimension", Dimension.ToString(CultureInfo.InvariantCulture)),
        new("dtype", ElementType == ElementType.F16 ? "float16" : "float32"),
        new("sampling", Sampling),
        new("views", Views.ToString(CultureInfo.InvariantCulture)),
        new("resize", Resize),
        new("preprocessing", Preprocessing),
        new("backbone", Backbone),
        .. View is null ? Array.Empty<KeyValuePair<string, string>>() : [new("view", View)],
    ];

    /// <summary>The fields in which stored features differ from this key.</summary>
    /// <param name="stored">Fields of the stored features.</param>
    internal IReadOnlyList<KeyDifference> DifferencesFrom(IReadOnlyList<KeyValuePair<string, string>> stored)
    {
        var wanted = Fields.ToDictionary();
        var found = stored.ToDictionary();
        return [.. wanted.Keys.Union(found.Keys)
            .Select(name => new KeyDifference(name, found.GetValueOrDefault(name), wanted.GetValueOrDefault(name)))
            .Where(difference => difference.Stored != difference.Wanted)];
    }

    /// <exception cref="ArgumentException">A size is not positive, or the element type is neither F32 nor F16.</exception>
    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Frames);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Dimension);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(Views);
        if (ElementType is not (ElementType.F32 or ElementType.F16))
        {
            throw new ArgumentException($"Features are stored as F32 or F16, not {ElementType}.");
        }
    }
}

/// <summary>One field in which stored features differ from those wanted.</summary>
/// <param name="Field">Its name, as in <see cref="FeatureKey.Fields"/>.</param>
/// <param name="Stored">Value of the stored features; null when they do not record it.</param>
/// <param name="Wanted">Value asked for; null when it is not part of the key any more.</param>
public sealed record KeyDifference(string Field, string? Stored, string? Wanted)
{
    public override string ToString() => $"{Field}: cached {Stored ?? "nothing"}, wanted {Wanted ?? "nothing"}";
}
