using System.Runtime.InteropServices;

namespace CudaTrainer.Data.Dataset;

/// <summary>Divides groups of clips among splits so that each split's class counts come as near as possible to its share.</summary>
/// <remarks>
/// Groups are indivisible, so this is a vector bin-packing problem. It is searched by repeated descent: from a random start, move one group
/// to another split, or exchange two, as long as that lowers Σ_split Σ_class (count − share)² / max(share, 1), plus a tenth of the same for
/// the number of groups, so that no split consists of a few large ones. Groups with equal counts are interchangeable and are handled as one
/// kind with a number, which keeps the search fast when every clip is its own group. The best of all starts wins. A split that lacks a
/// class is forbidden, not just expensive: of two classes it does not occur, of more only where no start found a way out.
/// </remarks>
internal sealed class GroupSplitter
{
    private const int Starts = 48;
    private const long EvaluationBudget = 20_000_000;
    private const double GroupWeight = 0.1;
    private const double MinimumGain = 1e-9;
    private const double Forbidden = 1e12;

    private readonly int _classes;
    private readonly int _splits;

    /// <summary>[kind][class] clips of a group, and last 1, for the group.</summary>
    private readonly int[][] _kinds;
    private readonly int[][] _members;

    /// <summary>[split, class], and last of the groups: what the split would have if groups could be divided.</summary>
    private readonly double[,] _shares;
    private readonly SplitMix64 _random;
    private long _evaluations;

    private GroupSplitter(IReadOnlyList<ClassCounts> groups, ReadOnlySpan<double> fractions, ulong seed)
    {
        _classes = ClassesOf(groups);
        var kinds = groups.Select((counts, index) => (counts, index)).GroupBy(group => group.counts)
            .OrderByDescending(kind => kind.Key.Total).ThenBy(kind => kind.Key, Comparer<ClassCounts>.Create(FromTheLastClass)).ToList();
        _kinds = [.. kinds.Select(kind => Enumerable.Range(0, _classes).Select(label => kind.Key[label]).Append(1).ToArray())];
        _members = [.. kinds.Select(kind => kind.Select(group => group.index).ToArray())];
        _splits = fractions.Length;
        _random = new SplitMix64(seed);
        ClassCounts total = groups.Aggregate(default(ClassCounts), (sum, group) => sum + group);
        _shares = new double[_splits, _classes + 1];
        for (int split = 0; split < _splits; split++)
        {
            for (int label = 0; label < _classes; label++)
            {
                _shares[split, label] = fractions[split] * total[label];
            }

            _shares[split, _classes] = fractions[split] * groups.Count;
        }
    }

    /// <summary>The most splits that these groups can give every class.</summary>
    /// <remarks>
    /// A split needs a group of each class: of two classes one group with both, or one of each alone, so that the rarer class decides. Of
    /// more classes this is a bound that groups which share classes may not reach.
    /// </remarks>
    public static int MaximumSplits(IReadOnlyList<ClassCounts> groups) =>
        Enumerable.Range(0, ClassesOf(groups)).Min(label => groups.Count(group => group[label] > 0));

    /// <summary>Gives each group a split.</summary>
    /// <param name="groups">Clips of each class in each group.</param>
    /// <param name="fractions">Share of each split, positive, adding up to one.</param>
    /// <param name="seed">Equal seeds give equal results.</param>
    /// <returns>Index into <paramref name="fractions"/> for each group.</returns>
    /// <exception cref="ArgumentException">More splits than <see cref="MaximumSplits"/>.</exception>
    public static int[] Assign(IReadOnlyList<ClassCounts> groups, ReadOnlySpan<double> fractions, ulong seed)
    {
        if (MaximumSplits(groups) < fractions.Length)
        {
            throw new ArgumentException($"{groups.Count} groups cannot give {fractions.Length} splits every class.", nameof(groups));
        }

        return new GroupSplitter(groups, fractions, seed).Assign(groups.Count);
    }

    /// <summary>What is minimised; 0 when every split has exactly its share.</summary>
    internal static double Cost(IReadOnlyList<ClassCounts> groups, ReadOnlySpan<double> fractions, ReadOnlySpan<int> assignment)
    {
        var splitter = new GroupSplitter(groups, fractions, 0);
        int[,] loads = new int[fractions.Length, splitter._classes + 1];
        for (int kind = 0; kind < splitter._kinds.Length; kind++)
        {
            foreach (int group in splitter._members[kind])
            {
                splitter.Add(loads, assignment[group], kind, 1);
            }
        }

        return splitter.Cost(loads);
    }

    private static int ClassesOf(IReadOnlyList<ClassCounts> groups) =>
        groups.Select(group => group.Classes).Append(ClassList.Violence.Count).Max();

    private static int FromTheLastClass(ClassCounts a, ClassCounts b)
    {
        for (int label = Math.Max(a.Classes, b.Classes) - 1; label >= 0; label--)
        {
            if (a[label] != b[label])
            {
                return a[label].CompareTo(b[label]);
            }
        }

        return 0;
    }

    private int[] Assign(int groupCount)
    {
        int[,] best = Descend(out double bestCost);
        for (int start = 1; start < Starts && _evaluations < EvaluationBudget && bestCost > MinimumGain; start++)
        {
            int[,] numbers = Descend(out double cost);
            if (cost < bestCost - MinimumGain)
            {
                (best, bestCost) = (numbers, cost);
            }
        }

        int[] assignment = new int[groupCount];
        for (int kind = 0; kind < _kinds.Length; kind++)
        {
            _random.Shuffle(_members[kind]);
            int next = 0;
            for (int split = 0; split < _splits; split++)
            {
                foreach (int group in _members[kind].AsSpan(next, best[kind, split]))
                {
                    assignment[group] = split;
                }

                next += best[kind, split];
            }
        }

        return assignment;
    }

    /// <returns>How many groups of each kind go to each split.</returns>
    private int[,] Descend(out double cost)
    {
        int[,] numbers = Start();
        int[,] loads = new int[_splits, _classes + 1];
        for (int kind = 0; kind < _kinds.Length; kind++)
        {
            for (int split = 0; split < _splits; split++)
            {
                Add(loads, split, kind, numbers[kind, split]);
            }
        }

        while (TryImprove(numbers, loads))
        {
        }

        cost = Cost(loads);
        return numbers;
    }

    /// <summary>A random assignment in which every split has every class, as far as that is easy to find.</summary>
    private int[,] Start()
    {
        int[,] numbers = new int[_kinds.Length, _splits];
        var remaining = new List<int>();
        for (int kind = 0; kind < _kinds.Length; kind++)
        {
            remaining.AddRange(Enumerable.Repeat(kind, _members[kind].Length));
        }

        _random.Shuffle(CollectionsMarshal.AsSpan(remaining));
        for (int split = 0; split < _splits; split++)
        {
            foreach (int index in Cover(remaining).OrderDescending())
            {
                numbers[remaining[index], split]++;
                remaining.RemoveAt(index);
            }
        }

        foreach (int kind in remaining)
        {
            numbers[kind, RandomSplit()]++;
        }

        return numbers;
    }

    /// <summary>Places of groups that together have every class.</summary>
    private List<int> Cover(List<int> remaining)
    {
        // One-class groups first: they are only of use together, a mixed group may serve a split alone.
        int[] single = [.. Enumerable.Range(0, _classes).Select(label =>
            remaining.FindIndex(kind => IsOfOneClass(kind) && _kinds[kind][label] > 0))];
        if (!single.Contains(-1))
        {
            return [.. single];
        }

        List<int> chosen = [];
        bool[] covered = new bool[_classes];
        while (covered.Contains(false))
        {
            int best = Enumerable.Range(0, remaining.Count).Except(chosen).DefaultIfEmpty(-1).MaxBy(Gained);
            if (Gained(best) == 0)
            {
                break;
            }

            chosen.Add(best);
            for (int label = 0; label < _classes; label++)
            {
                covered[label] |= _kinds[remaining[best]][label] > 0;
            }
        }

        return chosen;

        int Gained(int place) => place < 0
            ? 0
            : Enumerable.Range(0, _classes).Count(label => !covered[label] && _kinds[remaining[place]][label] > 0);
    }

    private bool IsOfOneClass(int kind) => _kinds[kind].AsSpan(0, _classes).Count(0) == _classes - 1;

    private int RandomSplit()
    {
        double groupTotal = 0.0;
        for (int split = 0; split < _splits; split++)
        {
            groupTotal += _shares[split, _classes];
        }

        double point = _random.NextDouble() * groupTotal;
        for (int split = 0; split < _splits - 1; split++)
        {
            point -= _shares[split, _classes];
            if (point < 0)
            {
                return split;
            }
        }

        return _splits - 1;
    }

    /// <summary>Applies every improving move and exchange met in one pass.</summary>
    private bool TryImprove(int[,] numbers, int[,] loads)
    {
        bool improved = false;
        for (int kind = 0; kind < _kinds.Length; kind++)
        {
            for (int from = 0; from < _splits; from++)
            {
                for (int to = 0; to < _splits; to++)
                {
                    improved |= from != to && TryMove(kind, from, to, numbers, loads);
                }
            }
        }

        return improved;
    }

    private bool TryMove(int kind, int from, int to, int[,] numbers, int[,] loads)
    {
        bool improved = false;
        while (numbers[kind, from] > 0 && TryExchange(kind, null, from, to, loads))
        {
            numbers[kind, from]--;
            numbers[kind, to]++;
            improved = true;
        }

        for (int other = kind + 1; other < _kinds.Length; other++)
        {
            while (numbers[kind, from] > 0 && numbers[other, to] > 0 && TryExchange(kind, other, from, to, loads))
            {
                numbers[kind, from]--;
                numbers[kind, to]++;
                numbers[other, to]--;
                numbers[other, from]++;
                improved = true;
            }
        }

        return improved;
    }

    /// <summary>Moves a group of one kind, and one of another kind the other way if given, when that lowers the cost.</summary>
    private bool TryExchange(int kind, int? other, int from, int to, int[,] loads)
    {
        _evaluations++;
        ReadOnlySpan<int> moved = _kinds[kind], back = other is { } second ? _kinds[second] : [];
        double gain = Cost(loads, from) + Cost(loads, to) - Cost(loads, from, back, moved) - Cost(loads, to, moved, back);
        if (gain <= MinimumGain)
        {
            return false;
        }

        Move(kind, from, to);
        if (other is { } returned)
        {
            Move(returned, to, from);
        }

        return true;

        void Move(int group, int source, int target)
        {
            Add(loads, source, group, -1);
            Add(loads, target, group, 1);
        }
    }

    private void Add(int[,] loads, int split, int kind, int number)
    {
        for (int i = 0; i <= _classes; i++)
        {
            loads[split, i] += number * _kinds[kind][i];
        }
    }

    private double Cost(int[,] loads)
    {
        double cost = 0.0;
        for (int split = 0; split < _splits; split++)
        {
            cost += Cost(loads, split);
        }

        return cost;
    }

    /// <param name="plus">A group that comes; empty for none.</param>
    /// <param name="minus">A group that goes; empty for none.</param>
    private double Cost(int[,] loads, int split, ReadOnlySpan<int> plus = default, ReadOnlySpan<int> minus = default)
    {
        double cost = 0.0;
        int missing = 0;
        for (int i = 0; i <= _classes; i++)
        {
            int load = loads[split, i] + (plus.IsEmpty ? 0 : plus[i]) - (minus.IsEmpty ? 0 : minus[i]);
            double distance = Distance(load, _shares[split, i]);
            cost += i < _classes ? distance : GroupWeight * distance;
            missing += i < _classes && load == 0 ? 1 : 0;
        }

        return cost + (missing * Forbidden);
    }

    private static double Distance(int count, double share) => (count - share) * (count - share) / Math.Max(share, 1);
}
