using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Training.Features;

namespace CudaTrainer.Training.Studies;

/// <summary>All clips of a folder of features, whatever split they stand in, with what they were cut from.</summary>
internal sealed class StudyClips : IFeatureRows, IDisposable
{
    private readonly FeatureSplits _splits;
    private readonly (SplitRows Rows, int Row)[] _clips;
    private readonly int[] _labels;

    private StudyClips(FeatureSplits splits)
    {
        _splits = splits;
        _clips = [.. splits.All.Select(set => new SplitRows(set))
            .SelectMany(rows => Enumerable.Range(0, rows.Count).Select(row => (rows, row)))];
        _labels = [.. splits.All.SelectMany(set => set.Labels.ToArray())];
        Sources = [.. splits.All.SelectMany(set => set.Sources)];
        Datasets = splits.All.All(set => set.Datasets is not null) ? [.. splits.All.SelectMany(set => set.Datasets!)] : [];
        Groups = Datasets.Count == 0 ? Sources : Tied();
    }

    public int Count => _clips.Length;

    public int Frames => _splits.Train.Frames;

    public int Dimension => _splits.Train.Dimension;

    public bool IsHalf => _clips[0].Rows.IsHalf;

    public ReadOnlySpan<int> Labels => _labels;

    public ClassList Classes => _splits.Train.ClassList;

    /// <summary>What each clip was cut from; its own name where that is not known.</summary>
    public IReadOnlyList<string> Sources { get; }

    /// <summary>The name of each clip's data set; empty where there is one alone.</summary>
    public IReadOnlyList<string> Datasets { get; }

    /// <summary>
    /// What stays together in folds and in the bootstrap: the source of each clip, and of several data sets sources that have a video in
    /// common under one name.
    /// </summary>
    public IReadOnlyList<string> Groups { get; }

    /// <summary>Whether any two clips are known to come from one source.</summary>
    public bool KnowsSources => Sources.Distinct(StringComparer.Ordinal).Count() < Count;

    /// <summary>How the features were made.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Key => _splits.Train.Key;

    /// <summary>A hash of the clips' names, labels, sources and features and of how those were made.</summary>
    public string Identity
    {
        get
        {
            var text = new StringBuilder($"[{Count}, {Frames}, {Dimension}] {string.Join(' ', Key.Select(entry => entry.Value))}\n");
            for (int i = 0; i < Count; i++)
            {
                text.Append(NameOf(i)).Append('\n').Append(_labels[i]).Append('\n').Append(Sources[i]).Append('\n');
            }

            if (!Classes.IsViolence)
            {
                text.Append(Classes).Append('\n');
            }

            foreach (FeatureSet set in _splits.All)
            {
                text.AppendJoin('\n', Enumerable.Range(0, set.Count).Select(set.FeaturesOf));
            }

            return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..16];
        }
    }

    /// <summary>
    /// Opens features of the cache, or with <paramref name="foreign"/> of another program, whose numbers are looked through first.
    /// </summary>
    /// <exception cref="RunException">They cannot be used.</exception>
    public static StudyClips Open(string directory, bool foreign, CancellationToken stop) =>
        new(foreign ? FeatureSplits.OpenFinite(directory, stop) : FeatureSplits.Open(directory));

    private string[] Tied()
    {
        int[] groups = ClipGroups.Find(
            [.. Enumerable.Range(0, Count).Select(i => new Clip(NameOf(i), NameOf(i), _labels[i], Sources[i], ContentOf(i)) { Bytes = 1 })],
            out _);
        string[] names = [.. Enumerable.Range(0, groups.Max() + 1).Select(group => Sources[Array.IndexOf(groups, group)])];
        return [.. groups.Select(group => names[group])];
    }

    public nint Row(int index) => _clips[index].Rows.Row(_clips[index].Row);

    public string NameOf(int index) => _clips[index].Rows.NameOf(_clips[index].Row);

    public string SourceOf(int index) => Sources[index];

    public string? DatasetOf(int index) => Datasets.Count == 0 ? null : Datasets[index];

    public string ContentOf(int index) => _clips[index].Rows.ContentOf(_clips[index].Row);

    public void Dispose() => _splits.Dispose();
}
