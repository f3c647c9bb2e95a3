using System.Globalization;
using System.Text;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Synthetic;

/// <summary>A labelled collection of short clips that nobody has to download: two figures who fight, or do not.</summary>
/// <remarks>
/// Violent clips show fist fights, kicks, shoves and falls, beatings of somebody on the ground and grappling; the others
/// walking, talking, shaking hands, hugging, dancing and waving. Place, people, size, frame rate, length, codec, light, noise
/// and camera shake are drawn without regard to the class, so that only what the figures do tells the classes apart.
/// </remarks>
public static class DemoClips
{
    private static readonly (int Width, int Height)[] Sizes =
    [
        (160, 120), (176, 144), (192, 108), (240, 180), (320, 180), (320, 240), (352, 288), (400, 224), (426, 240), (480, 360),
        (213, 161), (321, 241), (135, 180), (240, 320),
    ];

    private static readonly FrameRate[] Rates =
        [new(12), new(15), new(20), new(24), new(25), new(30000, 1001), new(30)];

    private static readonly (VideoCodec Codec, string Extension)[] Formats =
    [
        (VideoCodec.H264, ".mp4"), (VideoCodec.H264, ".mp4"), (VideoCodec.H264, ".mkv"), (VideoCodec.H264, ".mov"),
        (VideoCodec.Mpeg4, ".avi"), (VideoCodec.Mpeg4, ".mp4"), (VideoCodec.Mjpeg, ".avi"), (VideoCodec.Vp8, ".webm"),
        (VideoCodec.Vp9, ".webm"), (VideoCodec.Wmv2, ".wmv"), (VideoCodec.Flv1, ".flv"), (VideoCodec.Mpeg4, ".AVI"),
    ];

    /// <summary>Renders the collection.</summary>
    /// <param name="options">How much, where.</param>
    /// <param name="progress">Called from the rendering threads, one call at a time.</param>
    /// <param name="cancellationToken">Ends rendering; the clips completed so far remain.</param>
    /// <exception cref="VideoException">The native library is missing, or a clip cannot be written.</exception>
    /// <exception cref="IOException">A target folder holds files already, or cannot be created.</exception>
    public static DemoClipSet Render(
        DemoClipOptions options, Action<DemoProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        Check(options);
        VideoLibrary.Require(options.Directory);
        string dataset = NewFolder(Path.Combine(options.Directory, "dataset"));
        string unseen = NewFolder(Path.Combine(options.Directory, "unseen"));
        List<ClipPlan> labelled = Labelled(options, dataset);
        foreach (string folder in labelled.Select(plan => Path.GetDirectoryName(plan.Path)!).Distinct())
        {
            Directory.CreateDirectory(folder);
        }

        List<ClipPlan> forPrediction =
            Unseen(options, unseen, firstScene: (labelled.Count + options.ClipsPerSource - 1) / options.ClipsPerSource);
        var plans = labelled.Concat(forPrediction).ToList();
        var clips = new DemoClip[plans.Count];
        int done = 0;
        var turn = new Lock();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = options.Workers, CancellationToken = cancellationToken };
        System.Threading.Tasks.Parallel.For(0, plans.Count, parallel, i =>
        {
            clips[i] = ClipRenderer.Render(plans[i], cancellationToken);
            lock (turn)
            {
                progress?.Invoke(new DemoProgress(++done, plans.Count));
            }
        });

        DemoClip[] ready = clips[..labelled.Count];
        IReadOnlyList<BrokenClip> broken = options.IncludeBroken ? BrokenClips.Write(dataset, ready) : [];
        WriteSources(dataset, ready, broken);
        IEnumerable<VideoCodec> missing = Formats.Select(format => format.Codec).Distinct().Where(codec => !VideoWriter.CanEncode(codec));
        return new DemoClipSet(dataset, unseen, ready, clips[labelled.Count..], broken, [.. missing]);
    }

    internal static string FolderOf(bool violent) => violent ? "violent" : "nonviolent";

    private static void Check(DemoClipOptions options)
    {
        ArgumentException.ThrowIfNullOrEmpty(options.Directory, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Count, 2, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNegative(options.UnseenCount, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.ClipsPerSource, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Workers, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(options.ViolentShare, 0, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(options.ViolentShare, 1, nameof(options));
    }

    private static string NewFolder(string path)
    {
        path = Path.GetFullPath(path);
        Directory.CreateDirectory(path);
        return Directory.EnumerateFileSystemEntries(path).Any()
            ? throw new IOException($"'{path}' is not empty; delete it or choose another folder for the demo clips.")
            : path;
    }

    private static List<ClipPlan> Labelled(DemoClipOptions options, string folder)
    {
        var random = Draws.Of(options.Seed, 1);
        int violentCount = Math.Clamp((int)Math.Round(options.Count * options.ViolentShare), 1, options.Count - 1);
        bool[] labels = new bool[options.Count];
        labels.AsSpan(0, violentCount).Fill(true);
        random.Shuffle(labels.AsSpan());
        List<ClipPlan> plans = Plan(options.Seed, labels, firstScene: 0, options.ClipsPerSource, ref random, plan =>
            Path.Combine(folder, options.ByActivity ? plan.Activity.Name : FolderOf(plan.Activity.IsViolent),
                $"{plan.Scene.Name}-{plan.Number:000}-{plan.Activity.Name}"));
        if (options.IncludeBroken)
        {
            // A recording that stopped as soon as it began; it decodes.
            int shortest = plans.FindIndex(plan => plan.Activity.IsViolent);
            plans[shortest] = plans[shortest] with { Frames = 1 };
        }

        return plans;
    }

    private static List<ClipPlan> Unseen(DemoClipOptions options, string folder, int firstScene)
    {
        var random = Draws.Of(options.Seed, 2);
        bool[] labels = Enumerable.Range(0, options.UnseenCount).Select(i => i % 2 == 0).ToArray();
        return Plan(options.Seed, labels, firstScene, clipsPerScene: 2, ref random, plan =>
            Path.Combine(folder, $"{FolderOf(plan.Activity.IsViolent)}-{(plan.Number / 2) + 1}-{plan.Activity.Name}"));
    }

    private static List<ClipPlan> Plan(
        int seed, bool[] labels, int firstScene, int clipsPerScene, ref Draws random, Func<ClipPlan, string> name)
    {
        (VideoCodec Codec, string Extension)[] formats = Array.FindAll(Formats, format => VideoWriter.CanEncode(format.Codec));
        Span<int> kinds = [random.Below(Activity.KindsPerClass), random.Below(Activity.KindsPerClass)];
        var plans = new List<ClipPlan>();
        for (int i = 0; i < labels.Length; i++)
        {
            // All kinds of a class equally often; everything else by chance, the same for both classes.
            int kind = kinds[labels[i] ? 1 : 0]++;
            FrameRate rate = random.Pick<FrameRate>(Rates);
            int frames = (int)(random.Between(1.5f, 3) * rate.Numerator / rate.Denominator);
            float duration = (float)frames * rate.Denominator / rate.Numerator;
            (int width, int height) = random.Pick<(int Width, int Height)>(Sizes);
            (VideoCodec codec, string extension) = random.Pick<(VideoCodec Codec, string Extension)>(
                Array.FindAll(formats, format => width % 2 == 0 || format.Codec is not (VideoCodec.Wmv2 or VideoCodec.H264)));
            bool isMovie = extension is ".mp4" or ".mov";
            var plan = new ClipPlan(
                i,
                new Scene(seed, firstScene + (i / clipsPerScene)),
                Activity.Choose(labels[i], kind, duration, ref random),
                frames,
                new VideoWriterOptions
                {
                    Width = width,
                    Height = height,
                    FrameRate = rate,
                    Codec = codec,
                    Quality = 60 + random.Below(35),
                    RotationDegrees = isMovie && random.Chance(0.2f) ? 90 * (1 + random.Below(3)) : 0,
                    FastStart = isMovie && random.Chance(0.5f),
                },
                random.Next());
            plans.Add(plan with { Path = name(plan) + extension });
        }

        return plans;
    }

    private static void WriteSources(string folder, IEnumerable<DemoClip> clips, IEnumerable<BrokenClip> broken)
    {
        IOrderedEnumerable<string> rows = clips.Select(clip => (clip.Path, clip.Source))
            .Concat(broken.Select(clip => (clip.Path, clip.Source)))
            .Select(row => (Path: Path.GetRelativePath(folder, row.Path).Replace('\\', '/'), row.Source))
            .Select(row => string.Create(CultureInfo.InvariantCulture, $"{row.Path},{row.Path[..row.Path.IndexOf('/')]},{row.Source}"))
            .Order(StringComparer.Ordinal);
        var text = new StringBuilder("path,class,source\n");
        foreach (string row in rows)
        {
            text.Append(row).Append('\n');
        }

        File.WriteAllText(Path.Combine(folder, "sources.csv"), text.ToString());
    }
}
