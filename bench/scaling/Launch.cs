using System.Diagnostics;
using System.Globalization;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Bench.Scaling;

/// <summary>A line <c>@WHAT FIELD…</c> that a process under measurement has printed.</summary>
internal readonly record struct Answer(string What, string[] Fields)
{
    public double Number(int index) => double.Parse(Fields[index], CultureInfo.InvariantCulture);
}

/// <summary>
/// Starts processes to be measured, each time anew and never two at once, so that all have run equally long and nobody else waits beside
/// them.
/// </summary>
internal static class Launch
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static readonly string[] Self = ["dotnet", Path.Combine(AppContext.BaseDirectory, "CudaTrainer.Bench.dll"), "scaling-rank"];

    /// <summary>Why nothing can be started by mpirun here; null if it can.</summary>
    public static string? WhyNoMpi { get; } = Find("mpirun") is null ? "mpirun is not installed (Debian: openmpi-bin)" : MpiWorld.IsAvailable ? null : MpiWorld.Detail;

    /// <summary>Whether the options of Open MPI's mpirun are understood.</summary>
    public static bool IsOpenMpi { get; } = MpiWorld.IsAvailable
        && MpiWorld.InstalledVersion!.StartsWith("Open MPI", StringComparison.Ordinal);

    /// <summary>This program in another process.</summary>
    public static Answer[] Alone(params string[] arguments) => Run([.. Self, .. arguments]);

    /// <summary>This program in several processes.</summary>
    public static Answer[] Mpi(int ranks, IEnumerable<string> options, params string[] arguments) =>
        Run([.. Mpirun(ranks, options), .. Self, .. arguments]);

    /// <summary>Another program in several processes.</summary>
    public static Answer[] MpiProgram(int ranks, IEnumerable<string> options, string program, IEnumerable<string> arguments) =>
        Run([.. Mpirun(ranks, options), program, .. arguments]);

    /// <summary>Compiles the peer.</summary>
    /// <returns>Its path; null with the reason if it cannot be had.</returns>
    public static string? BuildPeer(out string reason)
    {
        string folder = Path.Combine(Repository.Root, "artifacts", "peers"), program = Path.Combine(folder, "mpi_allreduce");
        if (Find("mpicc") is not { } compiler)
        {
            reason = "mpicc is not installed (Debian: libopenmpi-dev)";
            return null;
        }

        Directory.CreateDirectory(folder);
        try
        {
            Run([compiler, "-O2", "-o", program, Path.Combine(Repository.Root, "bench", "scaling", "mpi_allreduce.c")]);
        }
        catch (InvalidOperationException exception)
        {
            reason = exception.Message;
            return null;
        }

        reason = string.Empty;
        return program;
    }

    private static string[] Mpirun(int ranks, IEnumerable<string> options) =>
        [Find("mpirun")!, .. IsOpenMpi ? ["--oversubscribe"] : Array.Empty<string>(), .. options, "-n", $"{ranks}"];

    private static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':').Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(File.Exists);

    private static Answer[] Run(string[] command)
    {
        var start = new ProcessStartInfo(command[0],
            command[1..])
        { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
        start.Environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";

        // Open MPI gives its programs a terminal, to which the runtime would send control sequences.
        start.Environment["TERM"] = "dumb";
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Patience))
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidOperationException(
                $"'{string.Join(' ', command)}' still ran after {Patience}: {output.Result}{errors.Result}");
        }

        return process.ExitCode == 0
            ? [.. output.Result.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith('@')).Select(Parse)]
            : throw new InvalidOperationException(
                $"'{string.Join(' ', command)}' failed ({process.ExitCode}): {output.Result}{errors.Result}");
    }

    private static Answer Parse(string line)
    {
        string[] words = line[1..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return new Answer(words[0], words[1..]);
    }
}
