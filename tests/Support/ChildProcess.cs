using System.Diagnostics;

namespace CudaTrainer.Tests;

/// <summary>What a program left.</summary>
internal sealed record CommandOutcome(int ExitCode, string Output, string Error)
{
    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The lines of both that begin so, in ordinal order: several processes write in any.</summary>
    public string[] Lines(string start) => [.. (Output + Error).Split('\n').Select(line => line.Trim())
        .Where(line => line.StartsWith(start, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
}

/// <summary>Programs that tests start: all streams are redirected, and no test hangs on one.</summary>
internal static class ChildProcess
{
    // No test waits on purpose; this ends a run that hangs, and fails it.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    /// <param name="environment">What it finds in its environment besides this process's; null takes a variable away.</param>
    public static Process Start(
        string program, IEnumerable<string> arguments, string? folder = null,
        IEnumerable<KeyValuePair<string, string?>>? environment = null)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = folder ?? string.Empty,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string? name, string? value) in environment ?? [])
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    /// <inheritdoc cref="Start"/>
    public static CommandOutcome Run(
        string program, IEnumerable<string> arguments, string? folder = null,
        IEnumerable<KeyValuePair<string, string?>>? environment = null)
    {
        using Process process = Start(program, arguments, folder, environment);
        return Finish(process);
    }

    /// <summary>Waits for the end of a process and takes what it wrote.</summary>
    public static CommandOutcome Finish(Process process)
    {
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Limit))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"The program still ran after {Limit}. It wrote: {output.Result}{error.Result}");
        }

        return new(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Starts ranks under the system's mpirun; the test is skipped where there is none.</summary>
    public static Process StartMpirun(
        int ranks, IEnumerable<string> command, string? folder = null, IEnumerable<KeyValuePair<string, string?>>? environment = null,
        params IEnumerable<string> options)
    {
        string? launcher = (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':')
            .Select(path => Path.Combine(path, "mpirun")).FirstOrDefault(File.Exists);
        Assert.SkipWhen(launcher is null, "mpirun is not installed (Debian: openmpi-bin)");

        // OpenMPI gives its programs a terminal, to which the runtime would send control sequences.
        return Start(launcher!, [.. options, "-n", $"{ranks}", .. command], folder,
            [new("OMPI_ALLOW_RUN_AS_ROOT", "1"), new("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"), new("TERM", "dumb"), .. environment ?? []]);
    }

    /// <summary>Sends a signal, for example <c>INT</c>.</summary>
    public static void Signal(this Process process, string name) => Run("kill", ["-s", name, $"{process.Id}"]).ExitCode.ShouldBe(0);
}
