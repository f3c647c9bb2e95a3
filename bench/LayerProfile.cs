using System.Diagnostics;
using CudaTrainer.Bench.Kernels;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench;

/// <summary>
/// The VGG19 fc2 pass with random He weights: frames per second, the best time of each layer, and its share of the FMA peak by the
/// multiplications really done (Winograd does a quarter).
/// </summary>
internal sealed unsafe class LayerProfile : IDisposable
{
    private const int ImageSize = ConvLayer.ImageSize;
    private const int FeatureLength = 4096;

    /// <summary>Layers whose activations are large run over few images at a time, so that these stay in the last-level cache.</summary>
    private const int ShallowLayers = 4;

    private readonly ThreadTeam _team;
    private readonly int _batch;
    private readonly int _shallowBatch;
    private readonly List<NativeArray> _weights = [];
    private readonly PackedMatrix _fc1;
    private readonly PackedMatrix _fc2;
    private readonly NativeArray _zeros = new(FeatureLength);
    private readonly NativeArray _image;
    private readonly NativeArray[] _activations = new NativeArray[2];
    private readonly NativeArray[] _shallow = new NativeArray[2];
    private readonly NativeArray _flat;
    private readonly NativeArray _hidden;
    private readonly double[] _seconds = new double[ConvLayer.Vgg19.Length + 4];

    private LayerProfile(ThreadTeam team, int batch, int shallowBatch)
    {
        _team = team;
        _batch = batch;
        _shallowBatch = shallowBatch;
        new Span<float>(_zeros.Pointer, FeatureLength).Clear();
        nint largest = 0;
        nint largestShallow = 0;
        foreach ((int index, ConvLayer layer) in ConvLayer.Vgg19.Index())
        {
            using NativeArray weights = He((long)layer.OutChannels * layer.InChannels * 9, layer.InChannels * 9, index);
            var prepared = new NativeArray(Conv3x3.WeightElementCount(team.Level, layer.OutChannels, layer.InChannels));
            Conv3x3.Prepare(team, layer.OutChannels, layer.InChannels, weights.Pointer, prepared.Pointer);
            _weights.Add(prepared);
            nint count = ConvLayout.ElementCount(1, layer.OutChannels, layer.OutSize, layer.OutSize);
            if (index < ShallowLayers - 1)
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
        ConvLayer top = ConvLayer.Vgg19[^1];
        int flat = top.OutChannels * top.OutSize * top.OutSize;
        _fc1 = Dense(flat, 100);
        _fc2 = Dense(FeatureLength, 101);
        _flat = new NativeArray((long)batch * flat);
        _hidden = new NativeArray((long)batch * FeatureLength);
        Features = new NativeArray((long)batch * FeatureLength);
    }

    public NativeArray Features { get; }

    /// <exception cref="WrongResultException">A kernel computes something else; nothing is timed then.</exception>
    public static void Run(int threads, int batch, int shallowBatch, double seconds)
    {
        foreach (KernelCase kernel in ConvKernels.All)
        {
            using PreparedKernel prepared = kernel.Prepare(threads);
            prepared.Check();
        }

        using var team = new ThreadTeam(threads);
        using var bench = new LayerProfile(team, batch, shallowBatch);
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
        foreach (NativeArray weights in _weights)
        {
            weights.Dispose();
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
        ConvLayer last = ConvLayer.Vgg19[ShallowLayers - 1];
        nint shallowOutput = ConvLayout.ElementCount(1, last.OutChannels, last.OutSize, last.OutSize);
        for (int image = 0; image < _batch; image += _shallowBatch)
        {
            int count = Math.Min(_shallowBatch, _batch - image);
            NormalizeImage.Run(_team, count, ImageSize, ImageSize, frames + ((nint)image * ImageSize * ImageSize * 3), scale, shift, false,
                _image.Pointer);
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
        for (int i = ShallowLayers; i < ConvLayer.Vgg19.Length; i++)
        {
            Convolve(i, _batch, _activations[current].Pointer, _activations[1 - current].Pointer, ref mark);
            current = 1 - current;
        }

        ConvLayer top = ConvLayer.Vgg19[^1];
        ConvFlatten.Run(_team, _batch, top.OutChannels, top.OutSize, top.OutSize, _activations[current].Pointer, _flat.Pointer);
        Lap(_seconds.Length - 3, ref mark);
        Gemm.RunPacked(_team, false, _batch, _flat.Pointer, _fc1.K, _fc1, _hidden.Pointer, FeatureLength, bias: _zeros.Pointer,
            activation: Activation.Relu);
        Lap(_seconds.Length - 2, ref mark);
        Gemm.RunPacked(_team, false, _batch, _hidden.Pointer, FeatureLength, _fc2, Features.Pointer, FeatureLength, bias: _zeros.Pointer,
            activation: Activation.Relu);
        Lap(_seconds.Length - 1, ref mark);
    }

    private void Convolve(int index, int images, float* input, float* output, ref long mark)
    {
        ConvLayer layer = ConvLayer.Vgg19[index];
        Conv3x3.Run(
            _team, images, layer.InChannels, layer.Size, layer.Size, layer.OutChannels, input, _weights[index].Pointer, _zeros.Pointer,
                output, Activation.Relu, layer.Pool);
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
            $"VGG19 fc2, {_team.Level}, {_team.Size} threads, {_batch} frames: best {_batch / times[0]:F2}, median " +
                $"{_batch / times[times.Count / 2]:F2} frames/s; FMA peak {peak:F0} / {medianPeak:F0} GFLOP/s");
        Console.WriteLine($"{"layer",-10} {"ms/frame",9} {"GFLOP/s direct",15} {"of peak as executed",20}");
        Console.WriteLine($"{"normalise",-10} {best[0] / _batch * 1e3,9:F3}");
        for (int i = 0; i < ConvLayer.Vgg19.Length; i++)
        {
            ConvLayer layer = ConvLayer.Vgg19[i];
            double seconds = best[1 + i] / _batch;
            Console.WriteLine(
                $"{$"{layer.InChannels}x{layer.OutChannels} {layer.Size}",-10} {seconds * 1e3,9:F3} {layer.Operations / seconds / 1e9,15:F0} {layer.Executed / seconds / 1e9 / peak,20:P0}");
        }

        Console.WriteLine($"{"flatten",-10} {best[^3] / _batch * 1e3,9:F3}");
        Console.WriteLine($"{"fc1",-10} {best[^2] / _batch * 1e3,9:F3} {2.0 * _fc1.K * FeatureLength * _batch / best[^2] / 1e9,15:F0}");
        Console.WriteLine($"{"fc2",-10} {best[^1] / _batch * 1e3,9:F3} {2.0 * _fc2.K * FeatureLength * _batch / best[^1] / 1e9,15:F0}");
    }
}
