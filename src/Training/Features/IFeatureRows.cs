using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Features;

/// <summary>The features of one split, one row per clip, in memory that stays put (usually a mapped file).</summary>
internal interface IFeatureRows
{
    /// <summary>Clips.</summary>
    int Count { get; }

    /// <summary>Frames per clip (T).</summary>
    int Frames { get; }

    /// <summary>Features per frame (D).</summary>
    int Dimension { get; }

    /// <summary>Whether rows are half precision; otherwise single.</summary>
    bool IsHalf { get; }

    /// <summary>An index into <see cref="Classes"/> for each clip.</summary>
    ReadOnlySpan<int> Labels { get; }

    /// <summary>What the labels stand for.</summary>
    ClassList Classes => ClassList.Violence;

    /// <summary>Address of row <paramref name="index"/>: T·D numbers.</summary>
    nint Row(int index);

    /// <summary>What error messages call a clip: its path, or its row number.</summary>
    string NameOf(int index);

    /// <summary>What a clip was cut from; its name where that is not known.</summary>
    string SourceOf(int index);

    /// <summary>The name of a clip's data set; null where there is one alone.</summary>
    string? DatasetOf(int index) => null;

    /// <summary>What tells the clip from any other, whatever it is called.</summary>
    string ContentOf(int index);
}
