using System.Diagnostics;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Bench.Compare;

/// <summary>The engine's own backbone, as extraction uses it.</summary>
internal sealed class OwnBackbone : IDisposable
{
    private readonly CpuDevice _device;
    private readonly Vgg19 _network;
    private readonly Tensor _frames;
    private readonly Tensor _features;

    public OwnBackbone(SimdLevel? level, byte[] frames, int threads = 0)
    {
        _device = new CpuDevice(threads, level: level);
        _network = new Vgg19(_device, new RandomVgg19(), ImageNormalization.Torch);
        int count = frames.Length / (Vgg19.ImageSize * Vgg19.ImageSize * 3);
        _frames = Tensor.Allocate(_device, [count, Vgg19.ImageSize, Vgg19.ImageSize, 3], DType.UInt8);
        _device.Upload(frames, _frames.Data);
        _features = Tensor.Allocate(_device, [count, Vgg19.Features]);
    }

    /// <summary>Smooth coloured waves with noise: deterministic, and nothing in the network saturates.</summary>
    public static byte[] Frames(int count)
    {
        const int size = Vgg19.ImageSize;
        byte[] rgb = new byte[count * size * size * 3];
        var random = new Random(11);
        for (int i = 0; i < rgb.Length; i++)
        {
            int channel = i % 3, x = i / 3 % size, y = i / 3 / size % size, frame = i / 3 / size / size;
            double wave = Math.Sin((x * 0.05 * (channel + 1)) + frame) + Math.Cos((y * 0.07) - (0.3 * frame));
            rgb[i] = (byte)Math.Clamp(128 + (45 * wave) + random.Next(-20, 21), 0, 255);
        }

        return rgb;
    }

    /// <summary>The random backbone's weights for other programs.</summary>
    public static void WriteWeights(string path)
    {
        if (File.Exists(path))
        {
            return;
        }

        var source = new RandomVgg19();
        SafetensorsWriter.Write(path, Vgg19.WeightShapes().Select(tensor =>
        {
            float[] values = new float[tensor.Shape.Count];
            source.Read(tensor.Name, values);
            return NamedTensor.Of<float>(tensor.Name, values, FileShape.Of(tensor.Shape));
        }));
    }

    public double Run(int count)
    {
        long began = Stopwatch.GetTimestamp();
        _network.Forward(_frames.Slice(0, count), _features.Slice(0, count));
        return Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    public double[] Features(int count)
    {
        Run(count);
        return _features.Slice(0, count).ToDoubles();
    }

    public void Dispose()
    {
        _frames.Dispose();
        _features.Dispose();
        _network.Dispose();
        _device.Dispose();
    }
}
