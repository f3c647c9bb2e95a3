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
    }

    public int Count => _clips.Length;

    public int Frames => _splits.Train.Frames;

    public int Dimension => _splits.Train.Dimension;

    public bool IsHalf => _clips[0].Rows.IsHalf;

    public ReadOnlySpan<int> Labels => _labels;

    public ClassList Classes => _splits.Train.ClassList;

    /// <summary>What each clip was cut from; its own name where that is not known.</summary>
    public IReadOnlyList<string> Sources { get; }

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

    public nint Row(int index) => _clips[index].Rows.Row(_clips[index].Row);

    public string NameOf(int index) => _clips[index].Rows.NameOf(_clips[index].Row);

    public string SourceOf(int index) => Sources[index];

    public string ContentOf(int index) => _clips[index].Rows.ContentOf(_clips[index].Row);

    public void Dispose() => _splits.Dispose();
}
