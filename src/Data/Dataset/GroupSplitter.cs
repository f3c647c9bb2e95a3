using System.Runtime.InteropServices;

namespace CudaTrainer.Data.Dataset;

/// <summary>Divides groups of clips among splits so that each split's class counts come as near as possible to its share.</summary>
/// <remarks>
/// Groups are indivisible, so this is a vector bin-packing problem. It is searched by repeated descent: from a random start, move one group
/// to another split, or exchange two, as long as that lowers Σ_split Σ_class (count − share)² / max(share, 1), plus a tenth of the same for
/// the number of groups, so that no split consists of a few large ones. Groups with equal counts are interchangeable and are handled as one
/// kind with a number, which keeps the search fast when every clip is its own group. The best of all starts wins. A split that lacks a
/// class is forbidden, not just expensive.
/// </remarks>
internal sealed class GroupSplitter
{
    private const int Starts = 48;
    private const long EvaluationBudget = 20_000_000;
    private const double GroupWeight = 0.1;
    private const double MinimumGain = 1e-9;
    private const double Forbidden = 1e12;

    private readonly ClassCounts[] _kinds;
    private readonly int[][] _members;
    private readonly double[,] _shares;
    private readonly int _splits;
    private readonly SplitMix64 _random;
    private long _evaluations;

    private GroupSplitter(IReadOnlyList<ClassCounts> groups, ReadOnlySpan<double> fractions, ulong seed)
    {
        var kinds = groups.Select((counts, index) => (counts, index)).GroupBy(group => group.counts)
            .OrderByDescending(kind => kind.Key.Total).ThenBy(kind => kind.Key.Violent).ToList();
        _kinds = [.. kinds.Select(kind => kind.Key)];
        _members = [.. kinds.Select(kind => kind.Select(group => group.index).ToArray())];
        _splits = fractions.Length;
        _random = new SplitMix64(seed);
        ClassCounts total = groups.Aggregate(default(ClassCounts), (sum, group) => sum + group);
        _shares = new double[_splits, ClassLabel.Count + 1];
        for (int split = 0; split < _splits; split++)
        {
            _shares[split, ClassLabel.Nonviolent] = fractions[split] * total.Nonviolent;
            _shares[split, ClassLabel.Violent] = fractions[split] * total.Violent;
            _shares[split, ClassLabel.Count] = fractions[split] * groups.Count;
        }
    }

    /// <summary>The most splits that these groups can give both classes.</summary>
    /// <remarks>A split needs one group with both classes, or one of each class alone.</remarks>
    public static int MaximumSplits(IReadOnlyList<ClassCounts> groups)
    {
        int both = groups.Count(group => group.Nonviolent > 0 && group.Violent > 0);
        int nonviolentOnly = groups.Count(group => group.Nonviolent > 0 && group.Violent == 0);
        int violentOnly = groups.Count(group => group.Nonviolent == 0 && group.Violent > 0);
        return both + Math.Min(nonviolentOnly, violentOnly);
    }

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
            throw new ArgumentException($"{groups.Count} groups cannot give {fractions.Length} splits both classes.", nameof(groups));
        }

        return new GroupSplitter(groups, fractions, seed).Assign(groups.Count);
    }

    /// <summary>What is minimised; 0 when every split has exactly its share.</summary>
    internal static double Cost(IReadOnlyList<ClassCounts> groups, ReadOnlySpan<double> fractions, ReadOnlySpan<int> assignment)
    {
        var splitter = new GroupSplitter(groups, fractions, 0);
        var loads = new Load[fractions.Length];
        for (int group = 0; group < groups.Count; group++)
        {
            loads[assignment[group]] = loads[assignment[group]].Plus(groups[group]);
        }

        return splitter.Cost(loads);
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
        var loads = new Load[_splits];
        for (int kind = 0; kind < _kinds.Length; kind++)
        {
            for (int split = 0; split < _splits; split++)
            {
                loads[split] = loads[split].Plus(_kinds[kind], numbers[kind, split]);
            }
        }

        while (TryImprove(numbers, loads))
        {
        }

        cost = Cost(loads);
        return numbers;
    }

    /// <summary>A random assignment in which every split has both classes.</summary>
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
            // Pairs of one-class groups first: they are only of use together, a mixed group serves any split alone.
            int nonviolent = remaining.FindIndex(kind => _kinds[kind] is { Nonviolent: > 0, Violent: 0 });
            int violent = remaining.FindIndex(kind => _kinds[kind] is { Nonviolent: 0, Violent: > 0 });
            int[] chosen = nonviolent >= 0 && violent >= 0
                ? [Math.Max(nonviolent, violent), Math.Min(nonviolent, violent)]
                : [remaining.FindIndex(kind => _kinds[kind] is { Nonviolent: > 0, Violent: > 0 })];
            foreach (int index in chosen)
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

    private int RandomSplit()
    {
        double groupTotal = 0.0;
        for (int split = 0; split < _splits; split++)
        {
            groupTotal += _shares[split, ClassLabel.Count];
        }

        double point = _random.NextDouble() * groupTotal;
        for (int split = 0; split < _splits - 1; split++)
        {
            point -= _shares[split, ClassLabel.Count];
            if (point < 0)
            {
                return split;
            }
        }

        return _splits - 1;
    }

    /// <summary>Applies every improving move and exchange met in one pass.</summary>
    private bool TryImprove(int[,] numbers, Load[] loads)
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

    private bool TryMove(int kind, int from, int to, int[,] numbers, Load[] loads)
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
    private bool TryExchange(int kind, int? other, int from, int to, Load[] loads)
    {
        _evaluations++;
        (Load newFrom, Load newTo) = (loads[from].Plus(_kinds[kind], -1), loads[to].Plus(_kinds[kind]));
        if (other is { } back)
        {
            (newFrom, newTo) = (newFrom.Plus(_kinds[back]), newTo.Plus(_kinds[back], -1));
        }

        double gain = Cost(from, loads[from]) + Cost(to, loads[to]) - Cost(from, newFrom) - Cost(to, newTo);
        if (gain <= MinimumGain)
        {
            return false;
        }

        (loads[from], loads[to]) = (newFrom, newTo);
        return true;
    }

    private double Cost(ReadOnlySpan<Load> loads)
    {
        double cost = 0.0;
        for (int split = 0; split < loads.Length; split++)
        {
            cost += Cost(split, loads[split]);
        }

        return cost;
    }

    private double Cost(int split, Load load)
    {
        double cost = Distance(load.Nonviolent, _shares[split, ClassLabel.Nonviolent])
            + Distance(load.Violent, _shares[split, ClassLabel.Violent])
            + (GroupWeight * Distance(load.Groups, _shares[split, ClassLabel.Count]));
        return load.Nonviolent == 0 || load.Violent == 0 ? cost + Forbidden : cost;
    }

    private static double Distance(int count, double share) => (count - share) * (count - share) / Math.Max(share, 1);

    /// <summary>What a split holds.</summary>
    private readonly record struct Load(int Nonviolent, int Violent, int Groups)
    {
        public Load Plus(ClassCounts group, int number = 1) =>
            new(Nonviolent + (number * group.Nonviolent), Violent + (number * group.Violent), Groups + number);
    }
}
