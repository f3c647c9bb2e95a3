using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json.Nodes;

namespace CudaTrainer.Bench.Gpu;

/// <summary>The same work in PyTorch, by <c>peer.py</c> in a process of its own, where <c>python3</c> has PyTorch.</summary>
internal sealed class TorchPeer
{
    private const string Mark = "@result ", Python = "python3",
        Look = "import importlib.util as u, sys; sys.exit(0 if u.find_spec('torch') and u.find_spec('numpy') else 'python3 has no torch, or no numpy')";

    private readonly JsonObject _result;

    private TorchPeer(JsonObject result) => _result = result;

    /// <summary>Why there is nothing to compare with; empty when there is.</summary>
    public string Skipped => (string?)_result["skipped"] ?? string.Empty;

    /// <summary>Version and what it ran on.</summary>
    public string Description => $"{_result["version"]} on {_result["device"]}, cuDNN {_result["cudnn"] ?? "not used"}";

    public JsonObject Result => _result;

    /// <summary>What it could not measure, and why.</summary>
    public IEnumerable<string> Errors => (_result["errors"] as JsonObject ?? []).Select(error => $"{error.Key}: {error.Value}");

    /// <summary>Whether it is worth writing anything for it: takes no time, and loads nothing.</summary>
    public static bool IsPossible(GpuOptions options, out string reason)
    {
        reason = "its script is not here (--peer)";
        if (options.Peer is null)
        {
            return false;
        }

        try
        {
            using Process process = Process.Start(new ProcessStartInfo(Python, ["-c", Look]) { RedirectStandardError = true })!;
            reason = process.StandardError.ReadToEnd().Trim();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (Win32Exception error)
        {
            reason = $"{Python}: {error.Message}";
            return false;
        }
    }

    /// <param name="options">Names the script.</param>
    /// <param name="patience">Then it is stopped.</param>
    /// <param name="arguments">Section, folder and numbers.</param>
    public static TorchPeer Run(GpuOptions options, TimeSpan patience, params string[] arguments)
    {
        if (!IsPossible(options, out string reason))
        {
            return Missing(reason);
        }

        var start = new ProcessStartInfo(Python,
            [options.Peer!, .. arguments])
        { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(patience))
            {
                process.Kill(entireProcessTree: true);
                return Missing($"it had not ended after {patience.TotalSeconds:F0} s");
            }

            string? line = output.Result.Split('\n').LastOrDefault(text => text.StartsWith(Mark, StringComparison.Ordinal));
            return line is null
                ? Missing($"python3 ended with {process.ExitCode}: {errors.Result.Trim().Split('\n')[^1]}")
                : new TorchPeer(JsonNode.Parse(line[Mark.Length..])!.AsObject());
        }
        catch (Win32Exception error)
        {
            return Missing($"python3: {error.Message}");
        }
    }

    /// <summary>Milliseconds by what was measured; null if that was not.</summary>
    public double? Milliseconds(string what) => (double?)(_result["milliseconds"] as JsonObject)?[what];

    /// <summary>The first steps' losses in a precision; null if it did not compute them.</summary>
    public double[]? Losses(string precision) =>
        ((_result["losses"] as JsonObject)?[precision] as JsonArray)?.Select(loss => (double)loss!).ToArray();

    private static TorchPeer Missing(string reason) => new(new JsonObject { ["skipped"] = reason });
}
