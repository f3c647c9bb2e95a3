namespace CudaTrainer.Data.Dataset;

/// <summary>Clips of each class.</summary>
public readonly struct ClassCounts : IEquatable<ClassCounts>
{
    // Without zeros at its end, so that equal counts are equal arrays whoever counted.
    private readonly int[]? _counts;

    /// <param name="counts">By label.</param>
    public ClassCounts(params ReadOnlySpan<int> counts) => _counts = counts.TrimEnd(0).ToArray();

    public int Nonviolent => this[ClassLabel.Nonviolent];

    public int Violent => this[ClassLabel.Violent];

    public int Total => Counts.Sum();

    /// <summary>Labels from which on there are no clips.</summary>
    public int Classes => Counts.Length;

    private int[] Counts => _counts ?? [];

    /// <summary>Clips of one class.</summary>
    public int this[int label] => label < Counts.Length ? Counts[label] : 0;

    public static bool operator ==(ClassCounts a, ClassCounts b) => a.Equals(b);

    public static bool operator !=(ClassCounts a, ClassCounts b) => !a.Equals(b);

    public static ClassCounts operator +(ClassCounts a, ClassCounts b) => Combine(a, b, 1);

    public static ClassCounts operator -(ClassCounts a, ClassCounts b) => Combine(a, b, -1);

    /// <summary>Counts labels from 0 on.</summary>
    public static ClassCounts Of(IEnumerable<int> labels)
    {
        int[] counts = new int[ClassList.Violence.Count];
        foreach (int label in labels)
        {
            if (label >= counts.Length)
            {
                Array.Resize(ref counts, label + 1);
            }

            counts[label]++;
        }

        return new ClassCounts(counts);
    }

    public bool Equals(ClassCounts other) => Counts.AsSpan().SequenceEqual(other.Counts);

    public override bool Equals(object? obj) => obj is ClassCounts other && Equals(other);

    public override int GetHashCode() => Counts.Aggregate(0, HashCode.Combine);

    public override string ToString() => string.Join(", ", Counts);

    private static ClassCounts Combine(ClassCounts a, ClassCounts b, int sign)
    {
        int[] counts = new int[Math.Max(a.Classes, b.Classes)];
        for (int label = 0; label < counts.Length; label++)
        {
            counts[label] = a[label] + (sign * b[label]);
        }

        return new ClassCounts(counts);
    }
}

/// <summary>One line of a <see cref="ClassTable"/>.</summary>
/// <param name="Split">The split.</param>
/// <param name="Clips">Its clips of each class.</param>
/// <param name="Sources">Its different sources.</param>
public sealed record ClassTableRow(DatasetSplit Split, ClassCounts Clips, int Sources);

/// <summary>How many clips of which class each split has.</summary>
/// <param name="Rows">One row for each split that exists, in order.</param>
public sealed record ClassTable(IReadOnlyList<ClassTableRow> Rows)
{
    /// <summary>All splits together.</summary>
    public ClassCounts Total => Rows.Aggregate(default(ClassCounts), (sum, row) => sum + row.Clips);
}
