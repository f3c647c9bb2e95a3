using System.Globalization;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Bench.Compare;

/// <summary>
/// The fused ops that come with the engine against a copy of as many bytes, against themselves taken apart, and against PyTorch.
/// </summary>
internal static class FusedComparison
{
    private static readonly int[] Megabytes = [1, 16, 256];

    public static void Run(Report report, string work)
    {
        report.Heading("Fused ops");
        using Peer? torch = Peers.StartPython("fused_torch.py", out string reason, work,
            Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture));
        report.Paragraph(
            $"Medians of 7 rounds in turns, {Environment.ProcessorCount} threads, arrays of that many MB in single precision, rows of " +
            "1,024. Bytes that must move at least, as a share of a copy's rate in the same rounds; and how many times as long the same " +
            $"takes with an op for each operation, and in {torch?.Version ?? $"PyTorch (skipped: {reason})"} by its own op where it has " +
            "one. Results are compared first.");
        using TorchFormulas? peer = torch is null ? null : new TorchFormulas(torch, work);
        IReadOnlyList<Type> formulas = FormulaTypes.In(typeof(IFusion).Assembly);
        var rows = new List<IReadOnlyList<string>>();
        using (var device = new CpuDevice())
        {
            foreach (int megabytes in Megabytes)
            {
                rows.AddRange(FormulaBenchmark.Run(formulas, device, megabytes, peer).Select(timing => (IReadOnlyList<string>)
                    [$"{timing.Formula}, {timing.Pass}", $"{megabytes}", Report.Number(1e3 * timing.Seconds), $"{timing.OfCopy:P0}",
                        Times(timing.TimesUnfused), Times(timing.TimesPeer)]));
            }
        }

        report.Table(["op", "MB", "ms", "of a copy's rate", "unfused", "PyTorch"], rows);
        report.Paragraph("By SIMD level, one thread, 16 MB: share of a copy's rate.");
        report.Table(["op", .. SimdSelection.Available.Select(CpuDevice.LevelName)], ByLevel(formulas));
    }

    private static IEnumerable<IReadOnlyList<string>> ByLevel(IReadOnlyList<Type> formulas)
    {
        FormulaTiming[][] levels = [.. SimdSelection.Available.Select(level =>
        {
            using var device = new CpuDevice(1, level: level);
            return FormulaBenchmark.Run(formulas, device, 16).ToArray();
        })];
        return levels[0].Select((first, i) => (IReadOnlyList<string>)
            [$"{first.Formula}, {first.Pass}", .. levels.Select(level => $"{level[i].OfCopy:P0}")]);
    }

    private static string Times(double? ratio) => ratio is { } times ? Report.Times(times) : "–";

    /// <summary>PyTorch, which gets the operands through files.</summary>
    private sealed class TorchFormulas(Peer torch, string work) : IFormulaPeer, IDisposable
    {
        public double[]? Load(string formula, IReadOnlyList<Tensor> operands, Tensor gradient)
        {
            Directory.CreateDirectory(work);
            foreach ((int index, Tensor operand) in operands.Index())
            {
                Save($"{index}", operand);
            }

            Save("gradient", gradient);

            double[] answer = torch.Ask($"load {formula} {operands.Count}");
            return answer.Length == 0 ? null : answer;
        }

        public double Seconds(bool backward, int calls) => torch.Ask($"{(backward ? "both" : "forward")} {calls}")[0];

        private void Save(string name, Tensor tensor)
        {
            long[] shape = [.. Enumerable.Range(0, tensor.Shape.Rank).Select(axis => (long)tensor.Shape[axis])];
            NpyFile.Write<float>(Path.Combine(work, $"{name}.npy"), tensor.Read<float>(), shape);
        }

        public void Dispose()
        {
            if (Directory.Exists(work))
            {
                Directory.Delete(work, recursive: true);
            }
        }
    }
}
