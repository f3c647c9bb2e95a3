namespace CudaTrainer.Data.Dataset;

/// <summary>Clips of each class.</summary>
public readonly record struct ClassCounts(int Nonviolent, int Violent)
{
    public int Total => Nonviolent + Violent;

    /// <summary>Clips of one class.</summary>
    public int this[int label] => label == ClassLabel.Violent ? Violent : Nonviolent;

    public static ClassCounts operator +(ClassCounts a, ClassCounts b) => new(a.Nonviolent + b.Nonviolent, a.Violent + b.Violent);

    public static ClassCounts operator -(ClassCounts a, ClassCounts b) => new(a.Nonviolent - b.Nonviolent, a.Violent - b.Violent);

    /// <summary>Counts labels of 0 and 1.</summary>
    public static ClassCounts Of(IEnumerable<int> labels)
    {
        int total = 0;
        int violent = 0;
        foreach (int label in labels)
        {
            total++;
            violent += label;
        }

        return new ClassCounts(total - violent, violent);
    }

    public override string ToString() => $"{Nonviolent} nonviolent, {Violent} violent";
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
