namespace CudaTrainer.Data.Dataset;

/// <summary>The classes of a data set: a name for each label, in order.</summary>
/// <remarks>
/// The pair nonviolent and violent (<see cref="Violence"/>) is answered with one number, p(violent), and a threshold. Any other classes,
/// two as well, are answered with a probability for each, and a clip is called by the largest.
/// </remarks>
public sealed class ClassList : IEquatable<ClassList>
{
    /// <summary>The most classes that a model may have.</summary>
    public const int Most = 1024;

    private ClassList(string[] names)
    {
        Names = names;
        IsViolence = names is ["nonviolent", "violent"];
    }

    /// <summary>Label 0 is <c>nonviolent</c>, 1 is <c>violent</c>, the positive class.</summary>
    public static ClassList Violence { get; } = new([ClassLabel.Name(ClassLabel.Nonviolent), ClassLabel.Name(ClassLabel.Violent)]);

    /// <summary>By label.</summary>
    public IReadOnlyList<string> Names { get; }

    public int Count => Names.Count;

    /// <summary>Whether these are nonviolent and violent.</summary>
    public bool IsViolence { get; }

    /// <summary>Numbers that answer for a clip: p(violent) alone, or a probability for each class.</summary>
    public int Scores => IsViolence ? 1 : Count;

    public string this[int label] => Names[label];

    /// <summary>Classes by name; <see cref="Violence"/> where they are the names of that pair, in its order.</summary>
    /// <exception cref="ArgumentException"><see cref="Problem"/> says why.</exception>
    public static ClassList Of(IReadOnlyList<string> names) => Problem(names) is { } problem
        ? throw new ArgumentException(problem, nameof(names))
        : names.SequenceEqual(Violence.Names) ? Violence : new ClassList([.. names]);

    /// <summary>What no list of classes is; null where nothing is wrong.</summary>
    public static string? Problem(IReadOnlyList<string> names) =>
        names.Count is < 2 or > Most ? $"{names.Count} classes"
        : names.Any(string.IsNullOrWhiteSpace) ? "a class without a name"
        : names.GroupBy(name => name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1) is { } twice
            ? $"two classes '{twice.Key}'"
        : null;

    /// <summary>
    /// The classes that folders or a table name: the known pair where every name is one of theirs (<see cref="ClassLabel"/>), else each
    /// name is a class, whatever its case.
    /// </summary>
    /// <param name="names">As they are written; repeats do not count.</param>
    /// <param name="sort">Whether labels follow the names, not the order given.</param>
    /// <returns>The classes; null where there is one alone.</returns>
    internal static ClassList? Named(IEnumerable<string> names, bool sort = true)
    {
        string[] distinct = [.. names.Distinct(StringComparer.OrdinalIgnoreCase)];
        int[] known = [.. distinct.Where(name => ClassLabel.TryParse(name, out _))
            .Select(name => ClassLabel.TryParse(name, out int label) ? label : 0)];
        return known.Length == distinct.Length && known.Distinct().Count() == Violence.Count ? Violence
            : distinct.Length < 2 ? null
            : Of(sort ? [.. distinct.Order(StringComparer.OrdinalIgnoreCase)] : distinct);
    }

    /// <summary>Recognises a class by its name, in any case; of the known pair by every name that its folders may have.</summary>
    public bool TryParse(string name, out int label)
    {
        if (IsViolence)
        {
            return ClassLabel.TryParse(name, out label);
        }

        label = Names.TakeWhile(own => !own.Equals(name, StringComparison.OrdinalIgnoreCase)).Count();
        return label < Count;
    }

    /// <summary>What messages call all of them together.</summary>
    internal string All => IsViolence ? "both classes" : "every class";

    /// <summary>Counts as people read them: <c>3 nonviolent, 4 violent</c>.</summary>
    public string Describe(ClassCounts counts) => string.Join(", ", Names.Select((name, label) => $"{counts[label]} {name}"));

    /// <summary>The same by name, in the order of the labels.</summary>
    public IReadOnlyDictionary<string, int> CountsByName(ClassCounts counts) =>
        new OrderedDictionary<string, int>(Names.Select((name, label) => KeyValuePair.Create(name, counts[label])));

    /// <summary>Names of the classes that have no clip.</summary>
    public IReadOnlyList<string> Missing(ClassCounts counts) => [.. Names.Where((_, label) => counts[label] == 0)];

    /// <summary>Whether the same classes are meant, in whatever order and case.</summary>
    internal bool HasSameNames(ClassList other) => IsViolence == other.IsViolence && Names.Count == other.Names.Count
        && Names.All(name => other.Names.Contains(name, StringComparer.OrdinalIgnoreCase));

    /// <summary>Whether each of these classes is one of others, which may be more.</summary>
    internal bool IsAmong(ClassList others) => Names.All(name => others.TryParse(name, out _));

    public bool Equals(ClassList? other) => other is not null && Names.SequenceEqual(other.Names);

    public override bool Equals(object? obj) => Equals(obj as ClassList);

    public override int GetHashCode() => Names.Aggregate(0, HashCode.Combine);

    public override string ToString() => string.Join(", ", Names);
}
