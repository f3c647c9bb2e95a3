using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Formats;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Interop;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Bench.Gpu;

/// <summary>Whole training steps (precision × graph × LSTM) beside PyTorch's: the losses of the first steps are compared before anything
/// is timed.</summary>
internal sealed class GpuSteps
{
    private const int CheckedSteps = 5, Series = 5;
    private const double Rate = 1e-4, SingleTolerance = 5e-4, HalfTolerance = 2e-2;

    private readonly int _batch, _time, _inputs, _steps;
    private readonly float[] _features;
    private readonly GpuOptions _options;
    private readonly GpuFindings _findings;

    private GpuSteps(GpuOptions options, GpuFindings findings)
    {
        (_batch, _time, _inputs, _steps) = options.Smoke
            ? (16, 4, 64, 2)
            : (OwnStep.Batch, OwnStep.Time, OwnStep.Inputs, options.Quick ? 60 : 200);
        _features = OwnStep.Features(0)[..(_batch * _time * _inputs)];
        _options = options;
        _findings = findings;
    }

    /// <returns>Whether all losses are right.</returns>
    public static bool Run(GpuOptions options, GpuFindings findings)
    {
        var run = new GpuSteps(options, findings);
        bool passed = run.Compare(out TorchPeer torch);
        run.Time(torch);
        return passed;
    }

    private static string Name(LstmPath lstm) => lstm == LstmPath.Fused ? "ours" : "cuDNN";

    private static string Precision(bool half) => half ? "fp16" : "fp32";

    private static IEnumerable<(LstmPath Lstm, bool Half)> Kinds() =>
        from lstm in Cuda.HasCudnn ? new[] { LstmPath.Fused, LstmPath.Cudnn } : [LstmPath.Fused]
        from half in new[] { false, true }
        select (lstm, half);

    private bool Compare(out TorchPeer torch)
    {
        Console.WriteLine($"\n## Losses of the first steps\n\nlstm-attention, batch {_batch}, {_time} frames of {_inputs} features, no dropout, learning rate {Rate:g}; differences are shares of the first loss.\n");
        string folder = Directory.CreateTempSubdirectory("gpu-steps-").FullName;
        try
        {
            NpyFile.Write<float>(Path.Combine(folder, "features.npy"), _features, _batch, _time, _inputs);
            NpyFile.Write<long>(Path.Combine(folder, "labels.npy"), [.. Enumerable.Range(0, _batch).Select(i => (long)Label(i))], _batch);
            var losses = Kinds()
                .ToDictionary(kind => kind, kind => Losses(kind.Lstm, kind.Half, Path.Combine(folder, "initial.safetensors")));
            torch = TorchPeer.Run(
                _options, TimeSpan.FromSeconds(_options.Quick ? 90 : 600), "steps", folder, "--series", Text(Series), "--steps",
                    Text(_steps));
            Console.WriteLine(torch.Skipped.Length > 0 ? $"PyTorch: not compared: {torch.Skipped}\n" : $"PyTorch: {torch.Description}\n");
            _findings.Set("torch", torch.Result.DeepClone());
            return Judge(losses, torch);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private bool Judge(Dictionary<(LstmPath Lstm, bool Half), double[]> losses, TorchPeer torch)
    {
        double[] single = losses[(LstmPath.Fused, false)];
        bool passed = true;
        Console.WriteLine($"| precision | LSTM | first | step {CheckedSteps} | from our fp32 | from PyTorch | |\n|---|---|---:|---:|---:|---:|---|");
        foreach (((LstmPath lstm, bool half), double[] own) in losses)
        {
            double[]? theirs = torch.Losses(Precision(half));
            double fromSingle = Difference(own, single), fromTorch = theirs is null ? 0 : Difference(own, theirs), tolerance = half ? HalfTolerance : SingleTolerance;
            bool right = fromSingle <= tolerance && fromTorch <= tolerance;
            passed &= right;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {Precision(half)} | {Name(lstm)} | {own[0]:F6} | {own[^1]:F6} | {fromSingle:E1} | {(theirs is null ? "–" : fromTorch.ToString("E1", CultureInfo.InvariantCulture))} | {(right ? "ok" : $"**more than {tolerance:E0}**")} |"));
            _findings.Add("losses", new JsonObject
            {
                ["precision"] = Precision(half),
                ["lstm"] = Name(lstm),
                ["losses"] = new JsonArray([.. own.Select(loss => JsonValue.Create(loss))]),
                ["right"] = right,
            });
        }

        return passed;
    }

    private void Time(TorchPeer torch)
    {
        Console.WriteLine($"\n## Training step\n\nDropout 0.5, the next batch copied meanwhile. Medians of {Series} series of {_steps} steps. × PyTorch: how many times as fast as its step by step and as its CUDA graph in the same precision.\n");
        foreach (string error in torch.Errors)
        {
            Console.WriteLine($"PyTorch, {error}\n");
        }

        Console.WriteLine("| precision | step | LSTM | ms | clips/s | × PyTorch eager | × PyTorch graph |\n|---|---|---|---:|---:|---:|---:|");
        foreach ((LstmPath lstm, bool half) in Kinds())
        {
            foreach (bool graph in new[] { false, true })
            {
                double seconds = Seconds(lstm, half, graph);
                double? eagerly = torch.Milliseconds($"{Precision(half)} eager") * 1e-3 / seconds,
                    asGraph = torch.Milliseconds($"{Precision(half)} graph") * 1e-3 / seconds;
                Row(Precision(half), graph ? "graph" : "eager", Name(lstm), seconds, eagerly, asGraph);
            }
        }

        foreach (string step in new[] { "fp32 eager", "fp32 graph", "fp16 eager", "fp16 graph" })
        {
            if (torch.Milliseconds(step) is { } milliseconds)
            {
                string[] parts = step.Split(' ');
                Row(parts[0], parts[1], "PyTorch", milliseconds * 1e-3, null, null);
            }
        }
    }

    private void Row(string precision, string step, string lstm, double seconds, double? eagerly, double? asGraph)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {precision} | {step} | {lstm} | {seconds * 1e3:F3} | {_batch / seconds:F0} | {eagerly:F2} | {asGraph:F2} |"));
        _findings.Add("steps",
            new JsonObject
            {
                ["precision"] = precision,
                ["step"] = step,
                ["lstm"] = lstm,
                ["seconds"] = seconds,
                ["times_torch_eager"] = eagerly,
                ["times_torch_graph"] = asGraph
            });
    }

    private double[] Losses(LstmPath lstm, bool half, string parameters)
    {
        using var device = new CudaDevice(0, new CudaDeviceOptions(Lstm: lstm));
        using Learner learner = NewLearner(device, half, graph: true, dropout: 0);
        using HostBatch batch = NewBatch(device, half);
        if (!File.Exists(parameters))
        {
            SafetensorsWriter.Write(parameters,
                learner.Parameters.State.Select(
                parameter => NamedTensor.Of<float>(parameter.Name, parameter.Value.Read<float>(), FileShape.Of(parameter.Shape))));
        }

        return [.. Enumerable.Range(0, CheckedSteps).Select(_ => learner.Train(batch, Rate).Loss)];
    }

    private double Seconds(LstmPath lstm, bool half, bool graph)
    {
        using var device = new CudaDevice(0, new CudaDeviceOptions(Lstm: lstm));
        using Learner learner = NewLearner(device, half, graph, dropout: 0.5f);
        using HostBatch even = NewBatch(device, half), odd = NewBatch(device, half);
        for (int i = 0; i < (_options.Smoke ? 4 : 10); i++)
        {
            learner.Train(i % 2 == 0 ? even : odd, Rate);
        }

        double[] series = new double[_options.Smoke ? 1 : Series];
        for (int s = 0; s < series.Length; s++)
        {
            long began = Stopwatch.GetTimestamp();
            for (int i = 0; i < _steps; i++)
            {
                learner.Start(i % 2 == 0 ? even : odd, Rate);
                learner.Prefetch(i % 2 == 0 ? odd : even);
                learner.Finish();
            }

            series[s] = Stopwatch.GetElapsedTime(began).TotalSeconds / _steps;
        }

        Array.Sort(series);
        return series[series.Length / 2];
    }

    private Learner NewLearner(CudaDevice device, bool half, bool graph, float dropout)
    {
        var options = new LearnerOptions(new LossInfo(true, 2, 0.1f, [1, 1], [0.25f, 0.25f]), new AdamOptions(), half, Seed: 42,
            FuseStep: graph);
        var learner = new Learner(device, Classifiers.Create("lstm-attention", new ClassifierOptions(_inputs, dropout, half)), options);
        learner.Parameters.Initialize(42);
        return learner;
    }

    private HostBatch NewBatch(CudaDevice device, bool half)
    {
        var host = new HostBatch(device, _batch, (long)_time * _inputs * (half ? 2 : 4)) { Count = _batch };
        if (half)
        {
            Span<Half> values = host.Features.AsSpan<Half>(0, _features.Length);
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = (Half)_features[i];
            }
        }
        else
        {
            _features.CopyTo(host.Features.AsSpan<float>(0, _features.Length));
        }

        for (int i = 0; i < _batch; i++)
        {
            host.Labels[i] = Label(i);
        }

        return host;
    }

    private static int Label(int clip) => clip * 7 % 3 % 2;

    private static double Difference(double[] own, double[] theirs) => own.Zip(theirs, (a, b) => Math.Abs(a - b) / theirs[0]).Max();

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
