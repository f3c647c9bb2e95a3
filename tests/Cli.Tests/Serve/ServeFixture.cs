using CudaTrainer.Data.Video;
using CudaTrainer.Synthetic;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>A model trained on a few drawn clips, and videos to ask it about.</summary>
public sealed class ServeFixture : IDisposable
{
    private readonly TemporaryFolder _folder = new(), _temporary = new();
    private readonly Lazy<ServerProcess> _server;
    private readonly Lazy<string> _answered;

    public ServeFixture()
    {
        DemoClipSet clips = DemoClips.Render(
            new DemoClipOptions { Directory = _folder.Path, Count = 4, UnseenCount = 2, ViolentShare = 0.5, ClipsPerSource = 1, IncludeBroken = false });
        int number = 0;
        foreach (DemoClip clip in clips.Labelled.OrderBy(clip => clip.IsViolent))
        {
            string target = _folder.File(
                $"clips/{(number++ % 2 == 0 ? "train" : "val")}/{(clip.IsViolent ? "violent" : "nonviolent")}/{Path.GetFileName(clip.Path)}");
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(clip.Path, target);
        }

        CommandOutcome trained =
            CommandRunner.RunIn(_folder.Path, [], "train", "--dataset-path", "clips", "--cache-dir", "cache", "--checkpoint-dir",
            "run", "--preset", "original", "--frames", "4", "--epochs", "2", "--quiet");
        trained.ExitCode.ShouldBe(0, trained.Error);
        Clip = Join("clip.mp4", clips.Unseen, frames: 24);
        Long = Join("long.mp4", clips.Unseen, frames: 4000);
        _server = new(() => ServerProcess.Start(this, _temporary.Path, Windows));
        _answered = new(() =>
        {
            string id = Server.Upload(Clip);
            Server.WaitFor(id, "done");
            return id;
        });
    }

    /// <summary>How <see cref="Server"/> predicts: 4 windows and an event in <see cref="Clip"/>.</summary>
    internal static string[] Windows { get; } = ["--window", "0.6", "--stride", "0.2", "--threshold", "0.01"];

    /// <summary>A server for every test that leaves it as it was.</summary>
    internal ServerProcess Server => _server.Value;

    /// <summary>Where <see cref="Server"/> has its folder of uploads, and nothing else is.</summary>
    internal string Temporary => _temporary.Path;

    /// <summary>The id of a video that <see cref="Server"/> has an answer for.</summary>
    internal string Answered => _answered.Value;

    public string Folder => _folder.Path;

    /// <summary>The folder of the run.</summary>
    public string Model => _folder.File("run");

    /// <summary>24 frames, 20 a second, 160 × 120.</summary>
    internal string Clip { get; }

    /// <summary>The same for 200 s: with short windows, minutes of work.</summary>
    internal string Long { get; }

    /// <summary>Options that make <see cref="Long"/> slow: nearly every frame goes through the backbone.</summary>
    internal static string[] ShortWindows { get; } = ["--window", "0.2", "--stride", "0.2"];

    public void Dispose()
    {
        if (_server.IsValueCreated)
        {
            _server.Value.Dispose();
        }

        _temporary.Dispose();
        _folder.Dispose();
    }

    /// <summary>A video out of the frames of others, over and over.</summary>
    private string Join(string name, IReadOnlyList<DemoClip> clips, int frames)
    {
        const int width = 160, height = 120, each = 20;
        using VideoWriter writer = new(_folder.File(name),
            new VideoWriterOptions { Width = width, Height = height, FrameRate = new FrameRate(20), Codec = VideoCodec.Mpeg4 });
        byte[][] pictures = [.. clips.Select(clip =>
        {
            byte[] rgb = new byte[each * width * height * 3];
            VideoReader.Read(clip.Path, each, rgb, new VideoReadOptions { Width = width, Height = height });
            return rgb;
        })];
        for (int frame = 0; frame < frames; frame++)
        {
            writer.AddFrame(pictures[frame / each % pictures.Length].AsSpan(frame % each * writer.FrameBytes, writer.FrameBytes));
        }

        writer.Close();
        return _folder.File(name);
    }
}

/// <summary>Tests that share the model; they run one after the other, each with the whole processor.</summary>
[CollectionDefinition(nameof(ServeCollection))]
public sealed class ServeCollection : ICollectionFixture<ServeFixture>;
