using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;

namespace CudaTrainer.Engine.Nn;

/// <summary>Where the backbone's weights come from.</summary>
public interface IVgg19WeightSource
{
    /// <summary>
    /// Decides whether cached features are still valid: the file's hash, or the name of the random backbone with its seed.
    /// </summary>
    string Identity { get; }

    /// <summary>What to tell people.</summary>
    string Description { get; }

    /// <param name="name">torchvision's name, for example <c>features.0.weight</c>.</param>
    /// <param name="destination">As many numbers as the tensor has, row-major.</param>
    void Read(string name, Span<float> destination);
}

/// <summary>A 3×3 convolution of VGG19 with its ReLU, and the 2×2 max pooling that may follow.</summary>
/// <param name="Name">torchvision's, for example <c>features.0</c>.</param>
/// <param name="CommonName">For example <c>conv1_1</c>: block and place in it.</param>
/// <param name="Inputs">Channels.</param>
/// <param name="Outputs">Channels.</param>
/// <param name="Size">Rows and columns of the input.</param>
internal sealed record Convolution(string Name, string CommonName, int Inputs, int Outputs, int Size, bool Pool)
{
    /// <summary>Rows and columns of what comes out.</summary>
    public int OutputSize => Pool ? Size / 2 : Size;

    /// <summary>Numbers that come out for each image.</summary>
    public int OutputCount => Outputs * OutputSize * OutputSize;
}

/// <summary>
/// VGG19 up to fc2 after its ReLU (Simonyan and Zisserman 2015, arXiv:1409.1556, configuration E), inference only: frames [n, 224, 224, 3]
/// become features [n, 4096]. Each frame's features have the same bits whatever the batch.
/// </summary>
public sealed class Vgg19 : IFrameNetwork
{
    public const int ImageSize = 224;
    public const int Features = 4096;

    /// <summary>Output channels of each convolution; 0 = 2×2 max pooling.</summary>
    private static readonly int[] Configuration =
        [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0];

    /// <summary>Frames that go through the convolutions together: activations of one frame take 26 MB, weights are shared by all.</summary>
    private const int ConvolutionBatch = 10;

    private readonly IDevice _device;
    private readonly Tape _tape;
    private readonly ImageNormalization _normalization;
    private readonly List<PreparedWeights> _convolutions = [];
    private readonly PreparedWeights _fc1;
    private readonly PreparedWeights _fc2;
    private readonly Tensor _even;
    private readonly Tensor _odd;

    /// <param name="stop">Looked at before each layer: reading and preparing them all takes seconds.</param>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public Vgg19(IDevice device, IVgg19WeightSource source, ImageNormalization normalization, CancellationToken stop = default)
    {
        _device = device;
        _tape = new Tape(device);
        _normalization = normalization;
        try
        {
            foreach (Convolution convolution in Convolutions)
            {
                stop.ThrowIfCancellationRequested();
                using Tensor weight = Load(source, convolution.Name + ".weight", [convolution.Outputs, convolution.Inputs, 3, 3]);
                using Tensor bias = Load(source, convolution.Name + ".bias", [convolution.Outputs]);
                _convolutions.Add(device.Ops.PrepareConv3x3(weight, bias));
            }

            stop.ThrowIfCancellationRequested();
            _fc1 = PrepareLinear(source, "classifier.0", Convolutions[^1].OutputCount, stop);
            _fc2 = PrepareLinear(source, "classifier.3", Features, stop);
        }
        catch
        {
            _fc1?.Dispose();
            _convolutions.ForEach(weights => weights.Dispose());
            _tape.Dispose();
            throw;
        }

        // The weights as read, half a gigabyte, are not needed again.
        device.TrimMemory();

        // Only two neighbouring layers are live at a time, so all share two blocks in turn.
        long[] bytes =
        [
            device.Ops.ConvBytes(ConvolutionBatch, 3, ImageSize, ImageSize),
            .. Convolutions.Select(layer => device.Ops.ConvBytes(ConvolutionBatch, layer.Outputs, layer.OutputSize, layer.OutputSize)),
        ];
        _even = Tensor.Allocate(device, [checked((int)bytes.Where((_, i) => i % 2 == 0).Max())], DType.UInt8, "activations");
        _odd = Tensor.Allocate(device, [checked((int)bytes.Where((_, i) => i % 2 == 1).Max())], DType.UInt8, "activations");
    }

    /// <summary>Times each layer; null where nobody asks.</summary>
    public LapClock? Laps { get; set; }

    /// <summary>The convolutions in order.</summary>
    internal static IReadOnlyList<Convolution> Convolutions { get; } = [.. EnumerateConvolutions()];

    /// <summary>Names and shapes of the tensors that <see cref="IVgg19WeightSource.Read"/> is asked for.</summary>
    public static IEnumerable<(string Name, Shape Shape)> WeightShapes()
    {
        foreach (Convolution convolution in Convolutions)
        {
            yield return (convolution.Name + ".weight", [convolution.Outputs, convolution.Inputs, 3, 3]);
            yield return (convolution.Name + ".bias", [convolution.Outputs]);
        }

        yield return ("classifier.0.weight", [Features, Convolutions[^1].OutputCount]);
        yield return ("classifier.0.bias", [Features]);
        yield return ("classifier.3.weight", [Features, Features]);
        yield return ("classifier.3.bias", [Features]);
    }

    /// <param name="rgb">[n, 224, 224, 3] UInt8.</param>
    /// <param name="features">[n, 4096], overwritten.</param>
    public void Forward(Tensor rgb, Tensor features)
    {
        int n = rgb.Shape[0];
        Check.Shape("Vgg19", "frames", rgb, [n, ImageSize, ImageSize, 3]);
        Check.Type("Vgg19", "frames", rgb, DType.UInt8);
        Check.Shape("Vgg19", "features", features, [n, Features]);
        Laps?.Begin();
        try
        {
            Tensor flat = _tape.Allocate([n, Convolutions[^1].OutputCount], _device.Ops.BackboneType);
            for (int start = 0; start < n; start += ConvolutionBatch)
            {
                int count = Math.Min(ConvolutionBatch, n - start);
                Convolve(_tape.Slice(rgb, start, count), _tape.Slice(flat, start, count));
            }

            Tensor hidden = _tape.Allocate([n, Features], _device.Ops.BackboneType);
            _device.Ops.LinearPreparedRelu(flat, _fc1, hidden);
            Laps?.Lap("fc1");
            _device.Ops.LinearPreparedRelu(hidden, _fc2, features);
            Laps?.Lap("fc2");
        }
        finally
        {
            _tape.Reset();
        }

        if (Laps is not null)
        {
            _device.Synchronize();
            Laps.Collect();
        }
    }

    public void Dispose()
    {
        foreach (PreparedWeights weights in _convolutions)
        {
            weights.Dispose();
        }

        _fc1.Dispose();
        _fc2.Dispose();
        _tape.Dispose();
        _even.Dispose();
        _odd.Dispose();
    }

    private static IEnumerable<Convolution> EnumerateConvolutions()
    {
        int channels = 3, size = ImageSize, block = 1, place = 0;
        for (int i = 0; i < Configuration.Length; i++)
        {
            if (Configuration[i] != 0)
            {
                var convolution = new Convolution(
                    $"features.{FeatureIndex(i)}", $"conv{block}_{++place}", channels, Configuration[i], size,
                    Pool: Configuration[i + 1] == 0);
                yield return convolution;
                (channels, size) = (convolution.Outputs, convolution.OutputSize);
                (block, place) = convolution.Pool ? (block + 1, 0) : (block, place);
            }
        }
    }

    /// <summary>
    /// torchvision counts a ReLU behind every convolution: entry i of the configuration is module i + the convolutions before it.
    /// </summary>
    private static int FeatureIndex(int entry) => entry + Configuration.Take(entry).Count(channels => channels != 0);

    private PreparedWeights PrepareLinear(IVgg19WeightSource source, string name, int inputs, CancellationToken stop)
    {
        using Tensor weight = Load(source, name + ".weight", [Features, inputs]);
        stop.ThrowIfCancellationRequested();
        using Tensor bias = Load(source, name + ".bias", [Features]);
        return _device.Ops.PrepareLinear(weight, bias);
    }

    private unsafe Tensor Load(IVgg19WeightSource source, string name, Shape shape)
    {
        Tensor tensor = Tensor.Allocate(_device, shape, name: name);
        if (_device.SharesHostMemory)
        {
            source.Read(name, new Span<float>((void*)tensor.Data, checked((int)tensor.Count)));
            return tensor;
        }

        float[] values = new float[shape.Count];
        source.Read(name, values);
        tensor.Write(values);
        return tensor;
    }

    private void Convolve(Tensor rgb, Tensor flat)
    {
        IOps ops = _device.Ops;
        int n = rgb.Shape[0];
        (Tensor current, Tensor next) = (_even, _odd);
        ops.NormalizeImage(rgb, current, _normalization);
        Laps?.Lap("normalise");
        for (int i = 0; i < Convolutions.Count; i++)
        {
            Convolution layer = Convolutions[i];
            ops.Conv3x3BiasRelu(current, next, [n, layer.Inputs, layer.Size, layer.Size], _convolutions[i], layer.Pool);
            Laps?.Lap(layer.CommonName);
            (current, next) = (next, current);
        }

        Convolution last = Convolutions[^1];
        ops.ConvFlatten(current, flat, [n, last.Outputs, last.OutputSize, last.OutputSize]);
        Laps?.Lap("flatten");
    }
}
