using System.Collections.Concurrent;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Video;
using CudaTrainer.Training.Extraction;

namespace CudaTrainer.Engine.Tests.Parallel;

public sealed class MultiDeviceExtractorTests : IDisposable
{
    private const int Devices = 3;

    private readonly Clips _videos = new();
    private readonly CpuDevice[] _devices = [.. Enumerable.Range(0, Devices).Select(index => new CpuDevice(threads: 1, index))];
    private readonly Clip[] _clips;

    public MultiDeviceExtractorTests()
    {
        string[] paths = [_videos.Coloured("a.mkv", 3), _videos.Coloured("b.mkv", 5), _videos.Coloured("c.mkv", 2), "/nowhere/d.mkv"];
        _clips = [.. Enumerable.Range(0, 11).Select(i => new Clip(paths[i % 4], $"{i}", 0, $"{i}", $"{i}"))];
    }

    [Fact]
    public void Every_clip_is_delivered_once_by_some_device()
    {
        ConcurrentDictionary<string, float> features = [];
        ConcurrentBag<string> failed = [];
        ExtractionProgress last = default;
        int caller = Environment.CurrentManagedThreadId;
        New().Run(_clips, Deliver, Report, CancellationToken.None);

        failed.Order().ShouldBe([.. _clips.Where((_, i) => i % 4 == 3).Select(clip => clip.ContentHash).Order()]);
        features.Keys.Order().ShouldBe([.. _clips.Where((_, i) => i % 4 != 3).Select(clip => clip.ContentHash).Order()]);
        features.Values.Distinct().Order().ToArray().ShouldBe([1f, 2f, 3f], "all devices have worked");
        (last.Videos, last.Total, last.Failures).ShouldBe((11, 11, 2));

        void Deliver(Clip clip, ReadOnlySpan<float> row, ReadOnlySpan<float> motion, VideoFault fault, string reason, VideoInfo info)
        {
            if (fault == VideoFault.None)
            {
                features.TryAdd(clip.ContentHash, row[0]).ShouldBeTrue();
            }
            else
            {
                failed.Add(clip.ContentHash);
            }
        }

        void Report(ExtractionProgress progress)
        {
            Environment.CurrentManagedThreadId.ShouldBe(caller);
            last = progress;
        }
    }

    [Fact]
    public void A_failure_ends_all_and_is_the_one_that_is_told()
    {
        Should.Throw<InvalidDataException>(() => New().Run(
            _clips, (clip, _, _, _, _, _) => _ = clip.ContentHash == "4" ? throw new InvalidDataException("no more room") : 0, _ =>
                { }, CancellationToken.None)).Message.ShouldBe("no more room");
    }

    [Fact]
    public void Stopping_stops_all()
    {
        using CancellationTokenSource stop = new();
        stop.Cancel();
        Should.Throw<OperationCanceledException>(() => New().Run(_clips, (_, _, _, _, _, _) => { }, _ => { }, stop.Token));
    }

    public void Dispose()
    {
        foreach (CpuDevice device in _devices)
        {
            device.Dispose();
        }

        _videos.Dispose();
    }

    /// <summary>The stand-in of a backbone: a frame's features are its device's number.</summary>
    private MultiDeviceExtractor New() => new([.. _devices.Select((device, index) => new FeatureExtractor(
        device, (_, features) => Fill(features, index + 1), new ExtractorOptions(2, Workers: 1, TimeSpan.FromSeconds(60))))]);

    private static unsafe void Fill(Tensor features, float value) => new Span<float>((void*)features.Data, (int)features.Count).Fill(value);
}
