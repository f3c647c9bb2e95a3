using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Extraction;

/// <summary>A clip and which of its streams has no features yet.</summary>
internal readonly record struct MissingStream(Clip Clip, FeatureStream Stream);

/// <summary>
/// The caches of the streams that are wanted: appearance and motion each have their own, so that neither is extracted twice, and for both
/// there is a third with their rows side by side, which is what training maps.
/// </summary>
internal sealed class StreamCaches : IDisposable
{
    private readonly FeatureOptions _options;
    private readonly BackboneChoice _backbone;
    private readonly int _view;
    private readonly FeatureCache? _rgb;
    private readonly FeatureCache? _motion;
    private readonly ClipPictures? _pictures;

    /// <param name="view">How clips are looked at: a number of <see cref="ClipView.All"/>.</param>
    /// <param name="helps">Another process has the caches open and commits them.</param>
    public StreamCaches(FeatureOptions options, BackboneChoice backbone, int view, bool helps = false)
    {
        (_options, _backbone, _view) = (options, backbone, view);
        try
        {
            _rgb = options.Stream.HasRgb() ? Open(FeatureStream.Rgb, helps) : null;
            _motion = options.Stream.HasMotion() ? Open(FeatureStream.Motion, helps) : null;
            _pictures = _motion is null || helps || view > 0 ? null : ClipPictures.OpenToWrite(_motion.Directory);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>One for each stream.</summary>
    public IEnumerable<FeatureCache> All => new[] { _rgb, _motion }.OfType<FeatureCache>();

    /// <summary>Compares a dataset with what is stored.</summary>
    /// <param name="plans">One for each stream.</param>
    /// <returns>Each clip once, in the order of the dataset.</returns>
    public IReadOnlyList<MissingStream> Plan(VideoDataset dataset, out IReadOnlyList<CachePlan> plans)
    {
        CachePlan? rgb = _rgb?.Plan(dataset), motion = _motion?.Plan(dataset);
        plans = [.. new[] { rgb, motion }.OfType<CachePlan>()];
        HashSet<string> withoutRgb = HashesOf(rgb), withoutMotion = HashesOf(motion), seen = [];
        return [.. dataset.Clips
            .Where(clip => clip.Fault is null && (
                withoutRgb.Contains(clip.ContentHash) || withoutMotion.Contains(clip.ContentHash)) && seen.Add(clip.ContentHash))
            .Select(clip => new MissingStream(clip, (withoutRgb.Contains(clip.ContentHash), withoutMotion.Contains(clip.ContentHash)) switch
            {
                (true, true) => FeatureStream.Both,
                (true, false) => FeatureStream.Rgb,
                _ => FeatureStream.Motion,
            }))];
    }

    /// <summary>Stores the features of a clip. Thread-safe.</summary>
    /// <param name="rgb">[frames, D of the backbone]; empty if they are not missing.</param>
    /// <param name="motion">[frames, 231]; empty if they are not missing.</param>
    /// <param name="info">What decoding showed.</param>
    public void Append(string contentHash, ReadOnlySpan<float> rgb, ReadOnlySpan<float> motion, in VideoInfo info)
    {
        // First, so that of a killed process no clip has features alone.
        _pictures?.Add(contentHash, info);
        if (!rgb.IsEmpty)
        {
            _rgb!.Append(contentHash, rgb);
        }

        if (!motion.IsEmpty)
        {
            _motion!.Append(contentHash, motion);
        }
    }

    /// <summary>Notes that a clip has no features. Thread-safe.</summary>
    public void AppendFailure(string contentHash, FeatureStream stream, string status, string message)
    {
        if (stream.HasRgb())
        {
            _rgb!.AppendFailure(contentHash, status, message);
        }

        if (stream.HasMotion())
        {
            _motion!.AppendFailure(contentHash, status, message);
        }
    }

    /// <summary>Makes the split files of every stream match a dataset.</summary>
    /// <returns>Of the features that training takes.</returns>
    public CacheSummary Commit(VideoDataset dataset)
    {
        CacheSummary[] parts = [.. All.Select(cache => cache.Commit(dataset, _options.OnCorrupt, _options.MaxCorrupt))];
        if (parts.Length == 1)
        {
            return parts[0];
        }

        using FeatureCache both = Open(FeatureStream.Both);
        Join(both, both.Plan(dataset).Missing);
        int extracted = parts.Max(part => part.Extracted);
        CacheSummary joined = both.Commit(dataset, _options.OnCorrupt, _options.MaxCorrupt);
        return joined with { Reused = joined.Reused + joined.Extracted - extracted, Extracted = extracted };
    }

    public void Dispose()
    {
        _rgb?.Dispose();
        _motion?.Dispose();
    }

    private static HashSet<string> HashesOf(CachePlan? plan) => [.. plan?.Missing.Select(clip => clip.ContentHash) ?? []];

    private FeatureCache Open(FeatureStream stream, bool helps = false)
    {
        string directory = ClipView.FolderOf(BackboneChoice.DirectoryOf(_options.CacheDir, stream), _view);
        FeatureKey key = _backbone.KeyOf(stream, _options, _view);
        return helps ? FeatureCache.Help(directory, key) : FeatureCache.Open(directory, key);
    }

    private void Join(FeatureCache both, IReadOnlyList<Clip> clips)
    {
        float[] rgb = new float[_options.Frames * _backbone.Shape.Features], motion = new float[_options.Frames * MotionFeatures.PerStep],
            row = new float[_options.Frames * FeatureStream.Both.Dimension(_backbone.Shape.Features)];
        foreach (Clip clip in clips)
        {
            if (_rgb!.TryRead(clip.ContentHash, rgb) && _motion!.TryRead(clip.ContentHash, motion))
            {
                FeatureStreams.Join(rgb, motion, row);
                both.Append(clip.ContentHash, row);
            }
            else
            {
                ClipFailure failure = _rgb.FailureOf(clip.ContentHash) ?? _motion!.FailureOf(clip.ContentHash)
                    ?? throw new RunException($"The cached features of '{clip.Path}' cannot be read.",
                        $"Run 'cudatrainer cache verify {SettingName.Of("Repair")}', then the same command again.");
                both.AppendFailure(clip.ContentHash, failure.Status, failure.Message);
            }
        }
    }
}
