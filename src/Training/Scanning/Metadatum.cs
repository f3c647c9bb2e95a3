using System.Globalization;

namespace CudaTrainer.Training.Scanning;

/// <summary>What goes together: two numbers of one family say much the same of a clip.</summary>
internal enum MetadatumFamily
{
    Picture,
    Length,
    Rate,
    Encoding,
    Data,
}

/// <summary>One thing that a file says of each clip without its pictures, as levels: the distinct values in rising order.</summary>
internal sealed class Metadatum
{
    /// <summary>No call: as good as a coin.</summary>
    public const sbyte Unknown = -1;

    private const int TextsShown = 3;

    private readonly double[] _values;
    private readonly string[] _texts;

    private Metadatum(string name, string phrase, MetadatumFamily family, double[] values, string[] texts, int[] levelOf)
    {
        (Name, Phrase, Family, _values, _texts, LevelOf) = (name, phrase, family, values, texts, levelOf);
    }

    /// <summary>As the JSON output calls it.</summary>
    public string Name { get; }

    /// <summary>As a sentence calls it, without an article.</summary>
    public string Phrase { get; }

    public MetadatumFamily Family { get; }

    /// <summary>The level of each clip.</summary>
    public int[] LevelOf { get; }

    public int Levels => _texts.Length;

    /// <summary>Everything that is not the same for all files.</summary>
    public static IReadOnlyList<Metadatum> Of(IReadOnlyList<ScannedFile> files)
    {
        List<Metadatum> all =
        [
            Number("height", "height of the picture", MetadatumFamily.Picture, file => file.Height, rows => $"{rows:0} rows"),
            Number("width", "width of the picture", MetadatumFamily.Picture, file => file.Width, columns => $"{columns:0} columns"),
            Number("aspect", "shape of the picture", MetadatumFamily.Picture,
                file => file.Height > 0 ? Math.Round((double)file.Width / file.Height, 2) : 0, ratio => $"{ratio:0.00} : 1"),
            Number("seconds", "length of the clip", MetadatumFamily.Length, file => Math.Round(file.Seconds, 2), s => $"{s:0.00} s"),
            Number("frames", "number of frames", MetadatumFamily.Length, file => file.Frames, frames => $"{frames:0} frames"),
            Number("frame_rate", "frame rate", MetadatumFamily.Rate, file => Math.Round(file.FrameRate, 2), r => $"{r:0.##} frames/s"),
            Number("bit_rate", "bit rate", MetadatumFamily.Data,
                file => file.Seconds > 0 ? Math.Round(file.Bytes * 8 / (1000 * file.Seconds)) : 0, rate => $"{rate:0} kbit/s"),
            Number("bytes", "size of the file", MetadatumFamily.Data, file => file.Bytes, bytes => $"{bytes / 1000:0.0} kB"),
            Name("codec", MetadatumFamily.Encoding, file => file.Codec),
            Name("container", MetadatumFamily.Encoding, file => file.Container),
        ];
        return [.. all.Where(metadatum => metadatum.Levels > 1)];

        Metadatum Number(
            string name, string phrase, MetadatumFamily family, Func<ScannedFile, double> value, Func<double, FormattableString> show)
        {
            double[] values = [.. files.Select(value)];
            double[] levels = [.. values.Distinct().Order()];
            string[] texts = [.. levels.Select(level => level > 0 ? show(level).ToString(CultureInfo.InvariantCulture) : "unknown")];
            return new(name, phrase, family, levels, texts, [.. values.Select(own => Array.BinarySearch(levels, own))]);
        }

        Metadatum Name(string name, MetadatumFamily family, Func<ScannedFile, string> value)
        {
            string[] values = [.. files.Select(value)];
            string[] levels = [.. values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
            return new(name, name, family, [], levels, [.. values.Select(own => Array.IndexOf(levels, own))]);
        }
    }

    /// <summary>
    /// Learns which class each level speaks for. Of numbers an interval speaks for one class and the rest for the other: the interval by
    /// which most clips are told apart, both classes counting alike. Values that no clip has here go with the nearest that one has. Of
    /// names each speaks for the class in which it is more frequent.
    /// </summary>
    /// <param name="counts">[levels, 2]: nonviolent and violent clips of each level.</param>
    /// <param name="calls">[levels]: 0, 1 or <see cref="Unknown"/>.</param>
    /// <returns>Balanced accuracy on the clips counted; one half, with no calls, where a class has none.</returns>
    public double Learn(ReadOnlySpan<int> counts, Span<sbyte> calls)
    {
        calls.Fill(Unknown);
        double nonviolent = 0, violent = 0;
        for (int level = 0; level < calls.Length; level++)
        {
            nonviolent += counts[2 * level];
            violent += counts[(2 * level) + 1];
        }

        if (nonviolent == 0 || violent == 0)
        {
            return 0.5;
        }

        // Violent's share less nonviolent's: its sum over the levels that speak for violent is by how much they tell the classes apart.
        double Excess(ReadOnlySpan<int> of, int level) => (of[(2 * level) + 1] / violent) - (of[2 * level] / nonviolent);

        if (_values.Length == 0)
        {
            double sum = 0;
            for (int level = 0; level < calls.Length; level++)
            {
                double excess = Excess(counts, level);
                sum += Math.Max(0, excess);
                calls[level] = counts[2 * level] + counts[(2 * level) + 1] == 0 ? Unknown : (sbyte)(excess > 0 ? 1 : 0);
            }

            return (1 + sum) / 2;
        }

        // Kadane's algorithm, for the largest and the smallest sum of successive levels at once.
        Run high = default, low = default;
        Run bestHigh = default, bestLow = default;
        for (int level = 0; level < calls.Length; level++)
        {
            double excess = Excess(counts, level);
            high = high.Sum > 0 ? new(high.First, level, high.Sum + excess) : new(level, level, excess);
            low = low.Sum < 0 ? new(low.First, level, low.Sum + excess) : new(level, level, excess);
            bestHigh = high.Sum > bestHigh.Sum ? high : bestHigh;
            bestLow = low.Sum < bestLow.Sum ? low : bestLow;
        }

        bool inside = bestHigh.Sum >= -bestLow.Sum;
        Run best = inside ? bestHigh : bestLow;
        int before = -1;
        for (int level = 0; level < calls.Length; level++)
        {
            if (counts[2 * level] + counts[(2 * level) + 1] == 0)
            {
                continue;
            }

            calls[level] = (sbyte)((level >= best.First && level <= best.Last) == inside ? 1 : 0);
            CallBetween(before, level, calls);
            before = level;
        }

        CallBetween(before, calls.Length, calls);
        return (1 + Math.Abs(best.Sum)) / 2;
    }

    /// <summary>The values of the levels that speak for a class, such as <c>360 to 480 rows or 1080 rows</c>.</summary>
    public string Values(ReadOnlySpan<sbyte> calls, int label)
    {
        List<string> texts = [];
        for (int first = 0; first < Levels; first++)
        {
            int last = first;
            while (_values.Length > 0 && calls[first] == label && last + 1 < Levels && calls[last + 1] == label)
            {
                last++;
            }

            if (calls[first] == label)
            {
                texts.Add(first == last ? _texts[first]
                    : first == 0 ? $"up to {_texts[last]}"
                    : last == Levels - 1 ? $"{_texts[first]} and more"
                    : $"{_texts[first]} to {_texts[last]}");
            }

            first = last;
        }

        return string.Join(" or ", texts.Take(TextsShown)) + (texts.Count > TextsShown ? " or others" : string.Empty);
    }

    /// <summary>Levels between two that are called, or beyond the last, go with the nearer of them.</summary>
    private void CallBetween(int before, int after, Span<sbyte> calls)
    {
        for (int level = before + 1; level < after; level++)
        {
            bool below = after == calls.Length || (before >= 0 && _values[level] - _values[before] <= _values[after] - _values[level]);
            calls[level] = calls[below ? before : after];
        }
    }

    private readonly record struct Run(int First, int Last, double Sum);
}
