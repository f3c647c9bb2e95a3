using System.Diagnostics;
using System.Globalization;

namespace CudaTrainer.Bench.Compare;

/// <summary>A run of <c>./cudatrainer</c>: how long it took and how much anonymous memory it had at its peak.</summary>
/// <param name="Seconds">From launch to exit.</param>
/// <param name="PeakAnonymousBytes">Largest RssAnon seen; pages of mapped files do not count.</param>
/// <param name="Output">What it printed.</param>
internal sealed record MeasuredProgram(double Seconds, long PeakAnonymousBytes, string Output)
{
    private const int SampleMilliseconds = 20;

    /// <exception cref="InvalidOperationException">It is not built, or it failed.</exception>
    public static MeasuredProgram Run(params string[] arguments)
    {
        string program = Path.Combine(Repository.Root, "cudatrainer");
        if (!File.Exists(program))
        {
            throw new InvalidOperationException("./cudatrainer is missing; run `make build` first.");
        }

        long began = Stopwatch.GetTimestamp();
        using Process process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        long peak = 0;
        while (!process.WaitForExit(SampleMilliseconds))
        {
            peak = Math.Max(peak, AnonymousBytes(process.Id));
        }

        double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        return process.ExitCode == 0
            ? new MeasuredProgram(seconds, peak, output.Result)
            : throw new InvalidOperationException(
                $"cudatrainer {string.Join(' ', arguments)} failed ({process.ExitCode}): {errors.Result}");
    }

    /// <summary>Of the process and its children: ./cudatrainer may be a script that starts the program.</summary>
    private static long AnonymousBytes(int process)
    {
        try
        {
            long own = File.ReadLines($"/proc/{process}/status")
                .Where(line => line.StartsWith("RssAnon:", StringComparison.Ordinal))
                .Select(line => long.Parse(line["RssAnon:".Length..^"kB".Length], CultureInfo.InvariantCulture) * 1024)
                .FirstOrDefault();
            return own + File.ReadAllText($"/proc/{process}/task/{process}/children")
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Sum(child => AnonymousBytes(int.Parse(child, CultureInfo.InvariantCulture)));
        }
        catch (IOException)
        {
            // It has just ended.
            return 0;
        }
    }
}
