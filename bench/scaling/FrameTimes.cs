using System.Diagnostics;
using System.Globalization;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Bench.Scaling;

/// <summary>The VGG19 pass over a share of the frames; what a process of <c>bench scaling</c> does.</summary>
internal static class FrameTimes
{
    /// <summary>
    /// Prints <c>@frames SECONDS CHECKSUM</c> from rank 0: for a frame of all processes' together, the slowest process counting, and the
    /// first frame's features added up.
    /// </summary>
    /// <param name="frames">Of all processes together.</param>
    public static void Run(int threads, int frames)
    {
        using ProcessGroup? processes = MpiWorld.IsLaunched ? ProcessGroup.Open() : null;
        int share = frames / (processes?.Size ?? 1);
        using var backbone = new OwnBackbone(null, OwnBackbone.Frames(share), threads);
        double checksum = backbone.Features(1).Sum();
        backbone.Run(share);
        processes?.Meet();
        long began = Stopwatch.GetTimestamp();
        backbone.Run(share);
        processes?.Meet();
        if (processes is not { IsLead: false })
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"@frames {Stopwatch.GetElapsedTime(began).TotalSeconds / frames:G9} {checksum:G9}"));
        }

        processes?.Run(() => true);
    }
}
