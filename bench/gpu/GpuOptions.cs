namespace CudaTrainer.Bench.Gpu;

/// <summary>How <c>bench gpu</c> runs.</summary>
/// <param name="Sections">Of <see cref="All"/>, in this order.</param>
/// <param name="Smoke">Small sizes and few rounds: shows that everything runs, on the simulator as well; the times mean nothing.</param>
/// <param name="Quick">Full sizes, fewer rounds, and ops are compared with the reference at a smaller batch than they are timed at.</param>
/// <param name="Json">File for the same numbers for programs.</param>
/// <param name="Peer">The script that does the same in PyTorch.</param>
internal sealed record GpuOptions(IReadOnlyList<string> Sections, bool Smoke, bool Quick, string? Json, string? Peer)
{
    public static IReadOnlyList<string> All { get; } = ["loads", "ops", "steps", "vgg"];

    /// <returns>Null, and a message on standard error, for arguments that make no sense.</returns>
    public static GpuOptions? Parse(ReadOnlySpan<string> arguments)
    {
        var sections = new List<string>();
        bool smoke = false, quick = false;
        string? json = null, peer = Path.Combine(AppContext.BaseDirectory, "..", "peer.py");
        for (int i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--smoke":
                    smoke = true;
                    break;
                case "--quick":
                    quick = true;
                    break;
                case "--json" when i + 1 < arguments.Length:
                    json = arguments[++i];
                    break;
                case "--peer" when i + 1 < arguments.Length:
                    peer = arguments[++i];
                    break;
                case { } section when All.Contains(section):
                    sections.Add(section);
                    break;
                default:
                    Console.Error.WriteLine(
                        $"bench gpu: {arguments[i]}? usage: bench gpu [{string.Join("] [", All)}] [--smoke] [--quick] [--json FILE] " +
                            $"[--peer SCRIPT]");
                    return null;
            }
        }

        return new GpuOptions(sections.Count > 0 ? sections : All, smoke, quick, json, File.Exists(peer) ? peer : null);
    }
}
