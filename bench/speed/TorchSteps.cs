using System.Globalization;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Formats;

namespace CudaTrainer.Bench.Speed;

/// <summary>A batch and the weights of a classifier in a folder, where <c>step_torch.py</c> finds them.</summary>
internal sealed class TorchSteps(string folder, string model, int batch, int inputs, double zeros)
{
    /// <summary>Differences of losses, of the first, that still are rounding: weights in bfloat16 lose small steps.</summary>
    private static readonly Dictionary<string, double> Tolerances = new() { ["fp32"] = 1e-4, ["autocast"] = 2e-2, ["bf16"] = 1e-1 };

    private const int CheckedSteps = 5;

    private readonly float[] _features = OwnStep.Features(zeros, batch, inputs);
    private readonly long[] _labels = [.. Enumerable.Range(0, batch).Select(i => (long)(i * 7 % 3 % 2))];

    public OwnStep Own(int threads, bool mixed = false, float dropout = 0.5f) =>
        new(null, threads, _features, _labels, dropout, mixed, model, inputs);

    public void Write()
    {
        Directory.CreateDirectory(folder);
        NpyFile.Write<float>(Path.Combine(folder, "features.npy"), _features, batch, OwnStep.Time, inputs);
        NpyFile.Write<long>(Path.Combine(folder, "labels.npy"), _labels, batch);
        using OwnStep own = Own(1, dropout: 0);
        own.SaveParameters(Path.Combine(folder, "initial.safetensors"));
    }

    /// <param name="precision">fp32, autocast or bf16.</param>
    /// <returns>PyTorch with all processors, whose losses are ours; null if it cannot run here.</returns>
    public Peer? Start(string precision, out string reason)
    {
        Peer? torch = Peers.StartPython("step_torch.py", out reason, folder,
            Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture), model, precision);
        if (torch is null)
        {
            return null;
        }

        using OwnStep check = Own(0, dropout: 0);
        double[] own = check.Losses(CheckedSteps), theirs = torch.Ask($"losses {CheckedSteps}");
        double worst = own.Zip(theirs, (a, b) => Math.Abs(a - b)).Max() / own[0];
        Console.WriteLine($"check: losses of {own.Length} steps differ from {torch.Version} by at most {worst:E1} of the first");
        return worst < Tolerances[precision]
            ? torch
            : throw new InvalidOperationException($"{torch.Version} has other losses; not worth timing.");
    }
}
