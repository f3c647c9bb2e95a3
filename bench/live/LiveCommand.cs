using System.Diagnostics;
using System.Globalization;
using CudaTrainer.Data.Video;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Watching;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Bench.Live;

/// <summary>
/// What a camera costs, how many this machine carries, and how long an answer takes: files that run like cameras, read, decoded and
/// answered by <see cref="Wall"/>.
/// </summary>
internal static class LiveCommand
{
    /// <summary>Seconds of a trial, and of its beginning, in which models are loaded and code is compiled.</summary>
    private const double Length = 20, Warm = 6;

    private const int Most = 256;

    /// <param name="clip">A recording of at least half a minute; empty for one that is drawn.</param>
    /// <param name="checkpoint">The model.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string clip, string checkpoint)
    {
        string folder = Directory.CreateTempSubdirectory("live-").FullName;
        try
        {
            clip = clip.Length > 0 ? Path.GetFullPath(clip) : Draw(Path.Combine(folder, "camera.mp4"));
            if (!IsAnsweredAlike(clip, checkpoint))
            {
                Console.Error.WriteLine("the answers for the running file are not those of the recording");
                return 1;
            }

            Trial one = Try(folder, clip, checkpoint, 1);
            Console.WriteLine($"| cameras | of one core each | latency p50 | latency p99 | lost or thinned |");
            Console.WriteLine("|---:|---:|---:|---:|---|");
            Show(one);
            int carried = 1, beyond = Most;
            for (int cameras = 2; carried < beyond - Math.Max(1, carried / 8);)
            {
                Trial trial = Try(folder, clip, checkpoint, cameras);
                Show(trial);
                (carried, beyond) = trial.KeptUp ? (cameras, beyond) : (carried, cameras);
                cameras = beyond == Most ? 2 * carried : (carried + beyond) / 2;
            }

            Console.WriteLine();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{carried} cameras on {Environment.ProcessorCount} cores; one takes {one.Cores:0.0 %} of a core"));
            return 0;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Show(Trial trial) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"| {trial.Cameras} | {trial.Cores:0.0 %} | {1000 * trial.Median:0} ms | {1000 * trial.Late:0} ms | {Lost(trial)} |"));

    private static string Lost(Trial trial) => trial.KeptUp ? "no" : "yes";

    private static bool IsAnsweredAlike(string clip, string checkpoint)
    {
        List<double> live = [];
        WatchOptions options = OptionsOf(checkpoint) with { Fast = true };
        using (Wall wall = Wall.Open(options, [clip], news => live.AddRange(news is LiveAnswer answer ? [answer.Score] : []), default))
        {
            wall.Run(default);
        }

        using Predictor predictor = Predictor.Open(options.Prediction);
        return live.SequenceEqual(predictor.ByWindow(clip, options.Plan, _ => { }, default).Prediction.Windows!
            .Select(window => window.Violent));
    }

    private static Trial Try(string folder, string clip, string checkpoint, int cameras)
    {
        string table = Path.Combine(folder, "cameras.csv");
        File.WriteAllLines(table, ["name,address", .. Enumerable.Range(1, cameras).Select(i => $"camera {i},\"{clip}\"")]);
        List<double> latencies = [];
        bool isThinned = false;
        long began = Stopwatch.GetTimestamp(), warmAt = 0;
        TimeSpan used = default;
        WatchOptions options = OptionsOf(checkpoint) with { Cameras = table, For = Length };
        using Wall wall = Wall.Open(options, [], news =>
        {
            if (Stopwatch.GetElapsedTime(began).TotalSeconds < Warm)
            {
                return;
            }

            if (warmAt == 0)
            {
                (warmAt, used) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
            }

            isThinned |= news is LoadChanged { Of: > 1 };
            latencies.AddRange(news is LiveAnswer answer ? [answer.Latency] : []);
        }, default);
        wall.Run(default);
        double cores = (Environment.CpuUsage.TotalTime - used) / Stopwatch.GetElapsedTime(warmAt) / cameras;
        bool isLost = wall.Cameras.Any(camera => camera.LeftOut + camera.PassedOver > 0);
        latencies.Sort();
        return latencies.Count == 0 ? new Trial(cameras, cores, double.NaN, double.NaN, KeptUp: false)
            : new Trial(cameras, cores, latencies[latencies.Count / 2], latencies[(int)(0.99 * latencies.Count)], !isThinned && !isLost);
    }

    private static WatchOptions OptionsOf(string checkpoint) => new()
    {
        Prediction = new PredictionOptions { Checkpoint = checkpoint, Windows = new WindowOptions { Window = 2 } },
    };

    /// <summary>40 s of 640 × 480 at 25 frames a second, in which textures move in several directions.</summary>
    private static string Draw(string path)
    {
        const int width = 640, height = 480;
        using var writer = new VideoWriter(path, new VideoWriterOptions { Width = width, Height = height });
        byte[] rgb = new byte[writer.FrameBytes];
        for (int frame = 0; frame < 1000; frame++)
        {
            for (int y = 0; y < height; y++)
            {
                int shift = (y / 120 % 2 == 0 ? 1 : -1) * frame * (1 + (y / 120));
                for (int x = 0; x < width; x++)
                {
                    int u = (x + shift + 4 * width) % 97, v = (y + (frame * 2)) % 61;
                    byte value = (byte)(128 + (40 * Math.Sin(u * 0.13)) + (40 * Math.Cos(v * 0.2)));
                    rgb.AsSpan(((y * width) + x) * 3, 3).Fill(value);
                }
            }

            writer.AddFrame(rgb);
        }

        writer.Close();
        return path;
    }

    /// <param name="Cores">That each camera takes.</param>
    /// <param name="Median">Latency in seconds.</param>
    /// <param name="Late">The 99th percentile of it.</param>
    /// <param name="KeptUp">Whether every window of every camera was answered.</param>
    private sealed record Trial(int Cameras, double Cores, double Median, double Late, bool KeptUp);
}
