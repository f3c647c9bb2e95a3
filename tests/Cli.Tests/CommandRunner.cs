using System.Diagnostics;
using CudaTrainer.Cli.Presentation;

namespace CudaTrainer.Cli.Tests;

/// <summary>Runs the built program as a process of its own, as a user does.</summary>
internal static class CommandRunner
{
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
        using Process process = Start(folder, environment, arguments);
        return ChildProcess.Finish(process);
    }

    /// <summary>Runs the program with a limit on the size of files, as a disk that fills up.</summary>
    public static CommandOutcome RunLimited(string folder, int kilobytes, params string[] arguments)
    {
        // .NET maps its code through a large file in memory unless told otherwise; the limit would count that, too.
        string script = $"trap '' XFSZ; ulimit -f {kilobytes}; exec dotnet \"$@\"";
        return ChildProcess.Run(
            "bash", ["-c", script, "bash", ProgramFile, .. arguments], folder, [new("DOTNET_EnableWriteXorExecute", "0")]);
    }

    public static Process Start(string folder, Dictionary<string, string?> environment, params string[] arguments) =>
        StartProgram(ProgramFile, folder, environment, arguments);

    /// <summary>Starts a copy of the program.</summary>
    public static Process StartProgram(string program, string folder, Dictionary<string, string?> environment, params string[] arguments) =>

        // A test run in the background of a shell inherits an ignored SIGINT, which the program would rightly go on ignoring.
        ChildProcess.Start("env", ["--default-signal=INT,HUP", "dotnet", program, .. arguments], folder, environment);
}
