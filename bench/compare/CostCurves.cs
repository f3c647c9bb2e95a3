using System.Globalization;
using System.Text.Json;

namespace CudaTrainer.Bench.Compare;

/// <summary>Time over batch, frames and videos: each should grow in proportion, and a plot shows it.</summary>
internal static class CostCurves
{
    public static void Run(Report report, string work, string plot, int rounds)
    {
        Directory.CreateDirectory(work);
        report.Heading("Cost over batch, frames and videos");
        using var backbone = new OwnBackbone(null, OwnBackbone.Frames(80));
        Curve[] curves =
        [
            new("training step over clips in the batch", "clips", Measure([16, 32, 64, 128, 256], rounds, batch =>
            {
                var step = new OwnStep(null, 0, OwnStep.Features(0, batch), new long[batch], 0.5f);
                step.Run(2);
                return (() => step.Run(2), step);
            })),
            new("backbone over frames in the batch", "frames",
                Measure([5, 10, 20, 40, 80], rounds, frames => (() => backbone.Run(frames), null))),
            new("epoch over videos (batch 64)", "videos", Measure([256, 512, 1024, 2048], Math.Min(3, rounds), videos =>
            {
                string folder = Path.Combine(work, $"videos-{videos}");
                FeatureFolder.Write(folder, videos, 0);
                return (() => TrainingRuns.EpochSeconds(folder, work), new TemporaryFolder(folder));
            })),
        ];
        report.Table(
            ["cost", "measured (seconds, median)", "slope between neighbours on log axes"],
            curves.Select(curve => (IReadOnlyList<string>)
            [
                curve.Name, string.Join(", ", curve.Points.Select(p => $"{p.Size}: {Report.Number(p.Seconds)}")),
                string.Join(", ", curve.Points.Zip(curve.Points.Skip(1),
                    (a, b) => $"{Math.Log(b.Seconds / a.Seconds) / Math.Log((double)b.Size / a.Size):F2}")),
            ]));
        report.Paragraph($"A slope of 1 is proportional; less means that a fixed cost is shared, as the reading of fc1's weights by few frames. ![plot]({Path.GetFileName(plot)})");
        string data = Path.Combine(work, "curves.json");
        File.WriteAllText(data,
            JsonSerializer.Serialize(
            curves.Select(c => new { c.Name, c.Unit, x = c.Points.Select(p => p.Size), y = c.Points.Select(p => p.Seconds) })));
        using Peer? plotter = Peers.StartPython("plot_curves.py", out _, data, plot);
    }

    private static (int Size, double Seconds)[] Measure(int[] sizes, int rounds, Func<int, (Func<double> Run, IDisposable? Owner)> make)
    {
        (Func<double> Run, IDisposable? Owner)[] made = sizes.Select(make).ToArray();
        Seconds[] times = Interleaved.Measure(
            [.. sizes.Zip(made, (size, m) => new Contestant(size.ToString(CultureInfo.InvariantCulture), m.Run))], rounds);
        foreach ((_, IDisposable? owner) in made)
        {
            owner?.Dispose();
        }

        return [.. sizes.Zip(times, (size, time) => (size, time.Median))];
    }

    private sealed record Curve(string Name, string Unit, (int Size, double Seconds)[] Points);

    private sealed class TemporaryFolder(string path) : IDisposable
    {
        public void Dispose() => Directory.Delete(path, recursive: true);
    }
}
