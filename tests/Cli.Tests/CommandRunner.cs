using System.Diagnostics;
using CudaTrainer.Cli.Presentation;

namespace CudaTrainer.Cli.Tests;

/// <summary>What a run of the program left.</summary>
internal sealed record CommandOutcome(int ExitCode, string Output, string Error)
{
    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>Runs the built program as a process of its own, as a user does.</summary>
internal static class CommandRunner
{
    // No test waits on purpose; this only ends a run that hangs.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    public static string ProgramFile { get; } = Path.Combine(AppContext.BaseDirectory, "cudatrainer.dll");

    public static CommandOutcome Run(params string[] arguments) => RunIn(Environment.CurrentDirectory, [], arguments);

    /// <summary>The same without a process, for the many small questions about the command line.</summary>
    public static CommandOutcome RunInside(params string[] arguments)
    {
        StringWriter output = new(), error = new();
        int code = Cli.Program.Run(arguments, output, error, TerminalSettings.Pipes);
        return new(code, output.ToString(), error.ToString());
    }

    public static CommandOutcome RunIn(string folder, Dictionary<string, string?> environment, params string[] arguments)
    {
        using var process = Start(folder, environment, arguments);
        return Finish(process);
    }

    /// <summary>Runs the program with a limit on the size of files, as a disk that fills up.</summary>
    public static CommandOutcome RunLimited(string folder, int kilobytes, params string[] arguments)
    {
        // .NET maps its code through a large file in memory unless told otherwise; the limit would count that, too.
        string script = $"trap '' XFSZ; ulimit -f {kilobytes}; exec dotnet \"$@\"";
        ProcessStartInfo start = new("bash", ["-c", script, "bash", ProgramFile, .. arguments])
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_EnableWriteXorExecute"] = "0";
        using var process = Process.Start(start)!;
        return Finish(process);
    }

    public static Process Start(string folder, Dictionary<string, string?> environment, params string[] arguments) =>
        StartProgram(ProgramFile, folder, environment, arguments);

    /// <summary>Starts a copy of the program.</summary>
    public static Process StartProgram(string program, string folder, Dictionary<string, string?> environment, params string[] arguments)
    {
        // A test run in the background of a shell inherits an ignored SIGINT, which the program would rightly go on ignoring.
        ProcessStartInfo start = new("env", ["--default-signal=INT", "dotnet", program, .. arguments])
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    public static CommandOutcome Finish(Process process)
    {
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Limit))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"The program still ran after {Limit}. It wrote: {output.Result}{error.Result}");
        }

        return new(process.ExitCode, output.Result, error.Result);
    }
}
