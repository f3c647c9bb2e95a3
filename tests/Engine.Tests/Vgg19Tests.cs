using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Formats;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Engine.Tests;

/// <summary>
/// The whole backbone against PyTorch (golden/vgg19.py), and that a frame's features have the same bits whatever surrounds it.
/// </summary>
[Trait("Category", "Slow")]
public class Vgg19Tests
{
    private const int Frames = 2;

    public static TheoryData<SimdLevel> Levels => [.. SimdSelection.Available];

    [Theory]
    [MemberData(nameof(Levels))]
    public void Features_agree_with_PyTorch(SimdLevel level)
    {
        using var device = new CpuDevice(2, level: level);
        using var network = new Vgg19(device, new FormulaWeights(), ImageNormalization.Torch);
        float[] features = Run(device, network, FormulaWeights.Pixels(Frames));
        float[] golden = NpyFile.ReadSingle(GoldenFiles.Path("vgg19.npy")).Data;
        GradientCheck.RelativeError([.. features.Select(x => (double)x)], [.. golden.Select(x => (double)x)]).ShouldBeLessThan(1e-5);
    }

    [Fact]
    public void A_frame_has_the_same_features_alone_in_a_batch_and_with_any_number_of_threads()
    {
        byte[] pixels = FormulaWeights.Pixels(Frames);
        float[] together, alone;
        using (var device = new CpuDevice(2))
        using (var network = new Vgg19(device, new FormulaWeights(), ImageNormalization.Torch))
        {
            // 13 frames: more than one group of convolutions, the second one partial.
            byte[] many = [.. Enumerable.Range(0, 13)
                .SelectMany(i => pixels.AsSpan(i % 2 * pixels.Length / 2, pixels.Length / 2).ToArray())];
            together = Run(device, network, many);
        }

        using (var device = new CpuDevice(1))
        using (var network = new Vgg19(device, new FormulaWeights(), ImageNormalization.Torch))
        {
            alone = Run(device, network, pixels.AsSpan(0, pixels.Length / 2).ToArray());
        }

        together.AsSpan(0, Vgg19.Features).SequenceEqual(alone).ShouldBeTrue();
        together.AsSpan(12 * Vgg19.Features, Vgg19.Features).SequenceEqual(alone).ShouldBeTrue();
    }

    [Fact]
    public void Loading_stops_at_the_next_layer_and_gives_its_memory_back()
    {
        using CancellationTokenSource stop = new();
        var source = new StoppingSource(stop, readsBefore: 3);
        using var device = new CpuDevice(1);

        Should.Throw<OperationCanceledException>(() => new Vgg19(device, source, ImageNormalization.Torch, stop.Token));

        source.Reads.ShouldBe(4);
    }

    /// <summary>Zeros, and somebody who loses patience.</summary>
    private sealed class StoppingSource(CancellationTokenSource stop, int readsBefore) : IVgg19WeightSource
    {
        public int Reads { get; private set; }

        public string Identity => "zeros";

        public string Description => "zeros";

        public void Read(string name, Span<float> destination)
        {
            if (Reads++ == readsBefore)
            {
                stop.Cancel();
            }
        }
    }

    private static float[] Run(CpuDevice device, Vgg19 network, byte[] pixels)
    {
        int frames = pixels.Length / (Vgg19.ImageSize * Vgg19.ImageSize * 3);
        using Tensor rgb = Tensor.Allocate(device, [frames, Vgg19.ImageSize, Vgg19.ImageSize, 3], DType.UInt8);
        using Tensor features = Tensor.Allocate(device, [frames, Vgg19.Features]);
        device.Upload(pixels, rgb.Data);
        network.Forward(rgb, features);
        return features.Read<float>();
    }
}
