using System.Diagnostics;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench;

/// <summary>
/// The VGG19 fc2 pass with random He weights: frames per second, the best time of each layer, and its share of the FMA peak by the multiplications
/// really done (Winograd does a quarter).
/// </summary>
internal sealed unsafe class VggBench : IDisposable
{
    private const int ImageSize = 224;
    private const int FeatureLength = 4096;

    private static readonly (int Channels, bool Pool)[] Convolutions =
    [
        (64, false), (64, true), (128, false), (128, true), (256, false), (256, false), (256, false), (256, true),
        (512, false), (512, false), (512, false), (512, true), (512, false), (512, false), (512, false), (512, true),
    ];

    /// <summary>Layers whose activations are large run over few images at a time, so that these stay in the last-level cache.</summary>
    private const int ShallowLayers = 4;

    private readonly ThreadTeam _team;
    private readonly int _batch;
    private readonly int _shallowBatch;
    private readonly List<Layer> _layers = [];
    private readonly PackedMatrix _fc1;
    private readonly PackedMatrix _fc2;
    private readonly NativeArray _zeros = new(FeatureLength);
    private readonly NativeArray _image;
    private readonly NativeArray[] _activations = new NativeArray[2];
    private readonly NativeArray[] _shallow = new NativeArray[2];
    private readonly NativeArray _flat;
    private readonly NativeArray _hidden;
    private readonly double[] _seconds = new double[Convolutions.Length + 4];

    private VggBench(ThreadTeam team, int batch, int shallowBatch)
    {
        _team = team;
        _batch = batch;
        _shallowBatch = shallowBatch;
        new Span<float>(_zeros.Pointer, FeatureLength).Clear();
        int channels = 3;
        int size = ImageSize;
        nint largest = 0;
        nint largestShallow = 0;
        foreach ((int outChannels, bool pool) in Convolutions)
        {
            var layer = new Layer(channels, outChannels, size, pool, new NativeArray(Conv3x3.WeightElementCount(team.Level, outChannels, channels)));
            using NativeArray weights = He(outChannels * channels * 9, channels * 9, _layers.Count);
            Conv3x3.Prepare(team, outChannels, channels, weights.Pointer, layer.Weights.Pointer);
            _layers.Add(layer);
            channels = outChannels;
            size = pool ? size / 2 : size;
            nint count = ConvLayout.ElementCount(1, channels, size, size);
            if (_layers.Count < ShallowLayers)
            {
                largestShallow = Math.Max(largestShallow, count);
            }
            else
            {
                largest = Math.Max(largest, count);
            }
        }

        for (int i = 0; i < 2; i++)
        {
            _activations[i] = new NativeArray(largest * batch);
            _shallow[i] = new NativeArray(largestShallow * shallowBatch);
        }

        _image = new NativeArray(ConvLayout.ElementCount(shallowBatch, 3, ImageSize, ImageSize));
        _fc1 = Dense(size * size * channels, 100);
        _fc2 = Dense(FeatureLength, 101);
        _flat = new NativeArray((long)batch * size * size * channels);
        _hidden = new NativeArray((long)batch * FeatureLength);
        Features = new NativeArray((long)batch * FeatureLength);
    }

    public NativeArray Features { get; }

    public static void Run(int threads, int batch, int shallowBatch, double seconds)
    {
        using var team = new ThreadTeam(threads);
        ConvCheck.Run(team);
        using var bench = new VggBench(team, batch, shallowBatch);
        byte[] frames = new byte[batch * ImageSize * ImageSize * 3];
        new Random(5).NextBytes(frames);
        fixed (byte* pixels = frames)
        {
            bench.Pass(pixels);
            var times = new List<double>();
            double[] best = new double[bench._seconds.Length];
            Array.Fill(best, double.MaxValue);
            for (double total = 0; total < seconds || times.Count < 5; total += times[^1])
            {
                Array.Clear(bench._seconds);
                long start = Stopwatch.GetTimestamp();
                bench.Pass(pixels);
                times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
                for (int i = 0; i < best.Length; i++)
                {
                    best[i] = Math.Min(best[i], bench._seconds[i]);
                }
            }

            times.Sort();
            bench.Report(times, best);
        }
    }

    public void Dispose()
    {
        foreach (Layer layer in _layers)
        {
            layer.Weights.Dispose();
        }

        NativeArray[] arrays = [.. _activations, .. _shallow, _zeros, _image, _flat, _hidden, Features];
        foreach (NativeArray array in arrays)
        {
            array.Dispose();
        }

        _fc1.Dispose();
        _fc2.Dispose();
    }

    private static NativeArray He(long count, int fanIn, int seed)
    {
        // A uniform distribution of the variance 2/fanIn.
        return NativeArray.Random(count, seed, (float)Math.Sqrt(6.0 / fanIn));
    }

    private PackedMatrix Dense(int inputs, int seed)
    {
        using NativeArray weights = He((long)inputs * FeatureLength, inputs, seed);
        var packed = new PackedMatrix(_team.Level, inputs, FeatureLength);
        packed.Pack(_team, transposed: true, weights.Pointer, inputs);
        return packed;
    }

    private void Pass(byte* frames)
    {
        ReadOnlySpan<float> scale = [1 / (255 * 0.229f), 1 / (255 * 0.224f), 1 / (255 * 0.225f)];
        ReadOnlySpan<float> shift = [-0.485f / 0.229f, -0.456f / 0.224f, -0.406f / 0.225f];
        long mark = Stopwatch.GetTimestamp();
        Layer last = _layers[ShallowLayers - 1];
        nint shallowOutput = ConvLayout.ElementCount(1, last.OutChannels, last.OutSize, last.OutSize);
        for (int image = 0; image < _batch; image += _shallowBatch)
        {
            int count = Math.Min(_shallowBatch, _batch - image);
            NormalizeImage.Run(_team, count, ImageSize, ImageSize, frames + ((nint)image * ImageSize * ImageSize * 3), scale, shift, false, _image.Pointer);
            Lap(0, ref mark);
            float* input = _image.Pointer;
            for (int i = 0; i < ShallowLayers; i++)
            {
                float* output = i == ShallowLayers - 1 ? _activations[0].Pointer + (image * shallowOutput) : _shallow[i % 2].Pointer;
                Convolve(i, count, input, output, ref mark);
                input = output;
            }
        }

        int current = 0;
        for (int i = ShallowLayers; i < _layers.Count; i++)
        {
            Convolve(i, _batch, _activations[current].Pointer, _activations[1 - current].Pointer, ref mark);
            current = 1 - current;
        }

        Layer top = _layers[^1];
        ConvFlatten.Run(_team, _batch, top.OutChannels, top.OutSize, top.OutSize, _activations[current].Pointer, _flat.Pointer);
        Lap(_seconds.Length - 3, ref mark);
        Gemm.RunPacked(_team, false, _batch, _flat.Pointer, _fc1.K, _fc1, _hidden.Pointer, FeatureLength, bias: _zeros.Pointer, activation: Activation.Relu);
        Lap(_seconds.Length - 2, ref mark);
        Gemm.RunPacked(_team, false, _batch, _hidden.Pointer, FeatureLength, _fc2, Features.Pointer, FeatureLength, bias: _zeros.Pointer, activation: Activation.Relu);
        Lap(_seconds.Length - 1, ref mark);
    }

    private void Convolve(int index, int images, float* input, float* output, ref long mark)
    {
        Layer layer = _layers[index];
        Conv3x3.Run(
            _team, images, layer.InChannels, layer.Size, layer.Size, layer.OutChannels, input, layer.Weights.Pointer, _zeros.Pointer, output, Activation.Relu, layer.Pool);
        Lap(1 + index, ref mark);
    }

    private void Lap(int index, ref long mark)
    {
        long now = Stopwatch.GetTimestamp();
        _seconds[index] += Stopwatch.GetElapsedTime(mark, now).TotalSeconds;
        mark = now;
    }

    private void Report(List<double> times, double[] best)
    {
        (double peak, double medianPeak) = FmaPeak.Measure(_team);
        Console.WriteLine(
            $"VGG19 fc2, {_team.Level}, {_team.Size} threads, {_batch} frames: best {_batch / times[0]:F2}, median {_batch / times[times.Count / 2]:F2} frames/s; FMA peak {peak:F0} / {medianPeak:F0} GFLOP/s");
        Console.WriteLine($"{"layer",-10} {"ms/frame",9} {"GFLOP/s direct",15} {"of peak as executed",20}");
        Console.WriteLine($"{"normalise",-10} {best[0] / _batch * 1e3,9:F3}");
        for (int i = 0; i < _layers.Count; i++)
        {
            Layer layer = _layers[i];
            double seconds = best[1 + i] / _batch;
            double direct = 2.0 * 9 * layer.InChannels * layer.OutChannels * layer.Size * layer.Size;
            double tiles = (layer.Size + 3) / 4;
            double executed = layer.InChannels == 3 ? direct : 2.0 * 36 * layer.InChannels * layer.OutChannels * tiles * tiles;
            Console.WriteLine(
                $"{$"{layer.InChannels}x{layer.OutChannels} {layer.Size}",-10} {seconds * 1e3,9:F3} {direct / seconds / 1e9,15:F0} {executed / seconds / 1e9 / peak,20:P0}");
        }

        Console.WriteLine($"{"flatten",-10} {best[^3] / _batch * 1e3,9:F3}");
        Console.WriteLine($"{"fc1",-10} {best[^2] / _batch * 1e3,9:F3} {2.0 * _fc1.K * FeatureLength * _batch / best[^2] / 1e9,15:F0}");
        Console.WriteLine($"{"fc2",-10} {best[^1] / _batch * 1e3,9:F3} {2.0 * _fc2.K * FeatureLength * _batch / best[^1] / 1e9,15:F0}");
    }

    private sealed record Layer(int InChannels, int OutChannels, int Size, bool Pool, NativeArray Weights)
    {
        public int OutSize => Pool ? Size / 2 : Size;
    }
}
