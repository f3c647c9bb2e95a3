using System.Diagnostics;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Bench.Compare;

/// <summary>The engine's own step with the command line's defaults, at a small learning rate so that the losses stay comparable.</summary>
internal sealed class OwnStep : IDisposable
{
    public const int Batch = 64;
    public const int Time = 20;
    public const int Inputs = Vgg19.Features;

    /// <summary>
    /// Floating-point operations of the three recurrent layers' products: with the input forward, for the weights' gradient and, behind the
    /// first layer, for the input's gradient; with the state forward, backward and for the weights' gradient. The dense head adds 0.2 %.
    /// </summary>
    public const double Operations = 2.0 * Batch * Time * 4 * Hidden * ((2 * Inputs) + (2 * 3 * Hidden) + (3 * 3 * Hidden));

    private const int Hidden = 128;
    private const double Rate = 1e-4;

    private readonly CpuDevice _device;
    private readonly Learner _learner;
    private readonly HostBatch _batch;

    /// <param name="mixed">As <c>--mixed-precision</c>.</param>
    public OwnStep(SimdLevel? level, int threads, float[] features, long[] labels, float dropout, bool mixed = false,
        string classifier = "lstm-attention", int inputs = Inputs)
    {
        _device = new CpuDevice(threads, level: level, halfProducts: mixed);
        Classifier model = Classifiers.Create(classifier, new ClassifierOptions(inputs, dropout));
        _learner = new Learner(_device, model,
            new LearnerOptions(new LossInfo(true, 2, 0.1f, [1, 1], [0.25f, 0.25f]), new AdamOptions(), MixedPrecision: mixed, Seed: 42));
        _learner.Parameters.Initialize(42);
        _batch = new HostBatch(_device, labels.Length, (long)Time * inputs * (mixed ? 2 : sizeof(float))) { Count = labels.Length };
        unsafe
        {
            if (mixed)
            {
                var halves = new Span<Half>((void*)_batch.Features.Pointer, features.Length);
                for (int i = 0; i < halves.Length; i++)
                {
                    halves[i] = (Half)features[i];
                }
            }
            else
            {
                features.CopyTo(new Span<float>((void*)_batch.Features.Pointer, features.Length));
            }
        }

        for (int i = 0; i < labels.Length; i++)
        {
            _batch.Labels[i] = (int)labels[i];
        }
    }

    /// <summary>Standardised numbers, or what a ReLU leaves of numbers shifted so far that the given part becomes zero.</summary>
    public static float[] Features(double zeros, int batch = Batch, int inputs = Inputs)
    {
        var random = new Random(17);
        float[] values = new float[batch * Time * inputs];
        for (int i = 0; i < values.Length; i++)
        {
            // The sum of four uniform numbers is close enough to a normal one, and much faster.
            float normal = (random.NextSingle() + random.NextSingle() + random.NextSingle() + random.NextSingle() - 2) * 1.732f;
            values[i] = zeros == 0 ? normal : random.NextSingle() < zeros ? 0 : Math.Abs(normal);
        }

        return values;
    }

    /// <summary>Bytes on the GC heap, all threads together.</summary>
    public static double AllocatedPerStep(int steps = 20)
    {
        using var step = new OwnStep(null, 0, Features(0), new long[Batch], 0.5f);
        step.Run(5);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        for (int i = 0; i < steps; i++)
        {
            step._learner.Train(step._batch, Rate);
        }

        return (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)steps;
    }

    /// <summary>
    /// Mean seconds of a step. One goes before the clock starts: threads that were asleep wake up and find their processors.
    /// </summary>
    public double Run(int steps)
    {
        _learner.Train(_batch, Rate);
        long began = Stopwatch.GetTimestamp();
        for (int i = 0; i < steps; i++)
        {
            _learner.Train(_batch, Rate);
        }

        return Stopwatch.GetElapsedTime(began).TotalSeconds / steps;
    }

    /// <summary>Threads that steps take by now.</summary>
    public int Threads => _device.ActiveThreads;

    public double[] Losses(int steps) => [.. Enumerable.Range(0, steps).Select(_ => _learner.Train(_batch, Rate).Loss)];

    public void SaveParameters(string path) => SafetensorsWriter.Write(path, _learner.Parameters.State.Select(parameter =>
        NamedTensor.Of<float>(parameter.Name, parameter.Value.Read<float>(), FileShape.Of(parameter.Shape))));

    public void Dispose()
    {
        _batch.Dispose();
        _learner.Dispose();
        _device.Dispose();
    }
}
