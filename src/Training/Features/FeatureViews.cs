using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Features;

/// <summary>The same clips of a split in other views.</summary>
internal sealed class FeatureViews : IDisposable
{
    private readonly List<FeatureSet> _others = [];

    private FeatureViews()
    {
    }

    /// <summary>Views 1 and up.</summary>
    public IReadOnlyList<FeatureSet> Others => _others;

    /// <param name="directory">The folder of view 0.</param>
    /// <param name="views">How many, view 0 included.</param>
    /// <param name="plain">View 0 of the split.</param>
    /// <exception cref="RunException">A view is missing, or is not of the same clips.</exception>
    public static FeatureViews Open(string directory, int views, FeatureSet plain)
    {
        var opened = new FeatureViews();
        try
        {
            for (int view = 1; view < views; view++)
            {
                string folder = ClipView.FolderOf(directory, view);
                if (!FeatureSet.Exists(folder, plain.Split))
                {
                    throw new RunException(
                        $"There are no features of view {view} ({ClipView.All[view].Name}) of {plain.Split.Name()} in '{folder}'.",
                            $"Extract them from the videos with {SettingName.Of(nameof(TrainingOptions.Views))} {view + 1} or more.");
                }

                FeatureSet set = FeatureSet.Open(folder, plain.Split);
                opened._others.Add(set);
                bool same = set.Count == plain.Count && set.Frames == plain.Frames && set.Dimension == plain.Dimension
                    && set.Labels.SequenceEqual(plain.Labels)
                    && set.Names.SequenceEqual(plain.Names) && IsOf(set, "backbone", plain) && IsOf(set, "preprocessing", plain);
                if (!same)
                {
                    throw new RunException($"'{set.Path}' does not have the clips of '{plain.Path}'.",
                        $"Extract both again with {SettingName.Of(nameof(TrainingOptions.Views))}.");
                }
            }

            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    public void Dispose() => _others.ForEach(set => set.Dispose());

    private static bool IsOf(FeatureSet set, string field, FeatureSet plain) => Value(set, field) == Value(plain, field);

    private static string? Value(FeatureSet set, string field) => set.Key.FirstOrDefault(entry => entry.Key == field).Value;
}
