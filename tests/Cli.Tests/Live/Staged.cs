using System.Collections.Concurrent;
using System.Diagnostics;
using CudaTrainer.Data.Video;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>Cameras, answers and sessions that tests make up.</summary>
internal static class Staged
{
    public const int Rate = 10;

    /// <summary>No test waits on purpose; this only ends one that hangs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    public static readonly DateTimeOffset Began = new(2026, 7, 13, 14, 25, 0, TimeSpan.Zero);

    public static Camera Camera(string name = "gate") => new(name, CameraAddress.Parse("rtsp://camera.local/1"));

    /// <summary>Answers for windows of 2 seconds that begin every second.</summary>
    public static LiveAnswer[] Answers(params double[] scores) => [.. scores.Select((score, i) => Answer(i, score))];

    public static LiveAnswer Answer(double from, double score, string camera = "gate") => new(Began.AddSeconds(from + 2.1), camera,
        Began.AddSeconds(from), Began.AddSeconds(from + 2), score, score >= 0.5 ? "violent" : "nonviolent")
    {
        From = from,
        To = from + 2,
        FrameSeconds = [from, from + 0.5, from + 1, from + 1.5, from + 1.9],
    };

    public static CameraSession Session(PacketTap? tap, string camera = "gate", int number = 1) => new(Camera(camera), number, tap, Began);

    /// <summary>Writes a clip of fine noise that moves, and of a colour that changes every second.</summary>
    public static void Draw(string path, double seconds, VideoCodec codec = VideoCodec.Mpeg4, int width = 320, int height = 240)
    {
        VideoWriterOptions options = new() { Width = width, Height = height, Codec = codec, FrameRate = new(Rate) };
        using VideoWriter writer = new(path, options);
        byte[] noise = new byte[width * (height + 64)], rgb = new byte[writer.FrameBytes];
        new Random(7).NextBytes(noise);
        for (int frame = 0; frame < seconds * Rate; frame++)
        {
            for (int i = 0; i < width * height; i++)
            {
                byte grey = noise[i + (frame % 64 * width)];
                (rgb[3 * i], rgb[(3 * i) + 1], rgb[(3 * i) + 2]) = (grey, (byte)(grey / 2), (byte)(frame / Rate * 40));
            }

            writer.AddFrame(rgb);
        }

        writer.Close();
    }

    /// <summary>Reads a file as if a camera sent it.</summary>
    /// <param name="each">Told of the seconds of each frame as it comes.</param>
    public static void Play(string path, PacketTap tap, Action<double>? each = null)
    {
        VideoFrameOptions options = new()
        {
            Width = 16,
            Height = 16,
            Ahead = 1,
            Live = new LiveReading { Tap = tap, KeepsUp = false },
        };
        using VideoFrameReader reader = new(path, options, CancellationToken.None);
        while (reader.Next() is { } frame)
        {
            each?.Invoke(frame.Seconds);
            reader.Return(frame);
        }

        reader.Result.Fault.ShouldBe(VideoFault.None, reader.Result.Reason);
    }

    /// <summary>A tap that keeps a whole drawn clip.</summary>
    public static PacketTap Tapped(TemporaryFolder folder, double seconds)
    {
        string path = folder.File("camera.mp4");
        Draw(path, seconds);
        PacketTap tap = new(seconds + 10, 1L << 30);
        Play(path, tap);
        return tap;
    }

    public static LiveEvents Events(EventOptions options, NewsLog log, NoticeLimits? notices = null, TimeProvider? time = null) =>
        new(options, _ => (0.5, 0.4), log.Add, time ?? TimeProvider.System, notices ?? NoticeLimits.Default);

    /// <summary>Decodes a file.</summary>
    public static (VideoReadResult Result, int Width, int Height, List<(double Seconds, byte[] Rgb)> Frames) Decode(string path)
    {
        using VideoFrameReader reader = new(path, new VideoFrameOptions(), CancellationToken.None);
        List<(double, byte[])> frames = [];
        while (reader.Next() is { } frame)
        {
            frames.Add((frame.Seconds, frame.Rgb));
        }

        return (reader.Result, reader.Size.Width, reader.Size.Height, frames);
    }
}

/// <summary>What was told, from any thread.</summary>
internal sealed class NewsLog
{
    private readonly ConcurrentQueue<LiveNews> _news = new();

    public IEnumerable<T> Of<T>()
        where T : LiveNews => _news.OfType<T>();

    public void Add(LiveNews news) => _news.Enqueue(news);

    /// <summary>Waits for news of a kind.</summary>
    public T Wait<T>(Func<T, bool>? wanted = null)
        where T : LiveNews
    {
        T? found = null;
        WaitUntil(() => (found = Of<T>().FirstOrDefault(wanted ?? (_ => true))) is not null, () => string.Join('\n', _news));
        return found!;
    }

    public static void WaitUntil(Func<bool> holds, Func<string>? otherwise = null)
    {
        long began = Stopwatch.GetTimestamp();
        while (!holds())
        {
            Stopwatch.GetElapsedTime(began).ShouldBeLessThan(Staged.Patience, otherwise?.Invoke());
            Thread.Sleep(10);
        }
    }
}
