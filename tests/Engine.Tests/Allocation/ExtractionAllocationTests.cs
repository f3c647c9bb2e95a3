using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Cache;
using CudaTrainer.Engine.Tests.Video;
using CudaTrainer.Formats;
using CudaTrainer.Training.Extraction;

namespace CudaTrainer.Engine.Tests.Allocation;

/// <summary>A batch of features, from the files to the hand-over, leaves nothing for the garbage collector, on no thread.</summary>
[Collection(WholeProcess.Name)]
public sealed class ExtractionAllocationTests : IDisposable
{
    private const int FramesPerClip = 60;

    private readonly CpuDevice _device = new(threads: 2);
    private readonly Clips _clips = new();

    /// <summary>Decoding included; the backbone is a stand-in.</summary>
    [Fact]
    public void A_batch_of_clips_allocates_nothing()
    {
        AllocationMeter meter = new(warmUp: 10, window: 20);
        string[] paths = [_clips.Coloured("a.mkv", 3), _clips.Textured("b.mp4", 5), _clips.Coloured("c.mkv", 70)];
        Clip[] clips = [.. Enumerable.Range(0, meter.MaxSteps).Select(i => new Clip(paths[i % 3], $"{i}", 0, $"{i}", $"{i}"))];
        using CancellationTokenSource stop = new();
        var extractor = new FeatureExtractor(_device, CopyPixels,
            new ExtractorOptions(FramesPerClip, Workers: 2, TimeSpan.FromSeconds(60)));
        int wrong = 0;
        byte[][] expected = [.. paths.Select(FirstPixels)];

        Should.Throw<OperationCanceledException>(() => extractor.Run(clips, Compare, Count, stop.Token));

        meter.ShouldHaveSeenNothing();
        wrong.ShouldBe(0);

        void Compare(Clip clip, ReadOnlySpan<float> features, ReadOnlySpan<float> motion, VideoFault fault, string reason, VideoInfo info)
        {
            byte[] pixels = expected[Array.IndexOf(paths, clip.Path)];
            wrong += fault == VideoFault.None ? 0 : 1;
            for (int i = 0; i < features.Length; i++)
            {
                wrong += features[i] == pixels[i] ? 0 : 1;
            }
        }

        void Count(ExtractionProgress progress)
        {
            meter.Step();
            if (meter.IsDone)
            {
                stop.Cancel();
            }
        }
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void A_batch_through_the_backbone_allocates_nothing()
    {
        AllocationMeter meter = new(warmUp: 2, window: 2);
        using Vgg19 backbone = new(_device, new RandomVgg19(), ImageNormalization.Torch);

        // 13 frames: more than one group of convolutions, the second one partial.
        using Tensor rgb = Tensor.Zeros(_device, [13, Vgg19.ImageSize, Vgg19.ImageSize, 3], DType.UInt8);
        using Tensor features = Tensor.Allocate(_device, [13, Vgg19.Features]);
        while (!meter.IsDone)
        {
            backbone.Forward(rgb, features);
            meter.Step();
        }

        meter.ShouldHaveSeenNothing();
    }

    /// <summary>Only what opens a file and finds the row again is new, whatever the row's length.</summary>
    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.F16)]
    public void A_row_for_the_cache_allocates_its_file_and_entry_only(ElementType type)
    {
        const int warmUp = 10, rows = 100, bytesPerEntry = 6 << 10;
        using CacheFixture fixture = new();
        FeatureKey key = CacheFixture.Key with { Frames = 20, Dimension = 4096, ElementType = type };
        using FeatureCache cache = fixture.Open(key, CacheDisk.Real);
        float[] row = CacheFixture.Features(CacheFixture.Clips(1)[0].ContentHash, key);
        string[] hashes = [.. CacheFixture.Clips(Enumerable.Range(0, warmUp + rows)).Select(clip => clip.ContentHash)];
        long before = 0;
        for (int i = 0; i < hashes.Length; i++)
        {
            if (i == warmUp)
            {
                before = GC.GetAllocatedBytesForCurrentThread();
            }

            cache.Append(hashes[i], row);
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(rows * bytesPerEntry);
    }

    public void Dispose()
    {
        _device.Dispose();
        _clips.Dispose();
    }

    /// <summary>The stand-in: a frame's features are its first bytes.</summary>
    private static unsafe void CopyPixels(Tensor rgb, Tensor features)
    {
        int frameBytes = Vgg19.ImageSize * Vgg19.ImageSize * 3;
        for (int frame = 0; frame < rgb.Shape[0]; frame++)
        {
            for (int i = 0; i < Vgg19.Features; i++)
            {
                ((float*)features.Data)[(frame * Vgg19.Features) + i] = ((byte*)rgb.Data)[((long)frame * frameBytes) + i];
            }
        }
    }

    private static byte[] FirstPixels(string path)
    {
        int frameBytes = Vgg19.ImageSize * Vgg19.ImageSize * 3;
        byte[] rgb = new byte[FramesPerClip * frameBytes];
        VideoReader.Read(path, FramesPerClip, rgb);
        return [.. Enumerable.Range(0, FramesPerClip).SelectMany(frame => rgb.AsSpan(frame * frameBytes, Vgg19.Features).ToArray())];
    }
}
