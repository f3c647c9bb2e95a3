using System.Diagnostics;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Explicit tests in processes of their own, by the program that runs this one: a published one needs no SDK.</summary>
internal static class ChildTest
{
    /// <param name="type">The class of the test.</param>
    /// <param name="test">A method with <c>[Fact(Explicit = true)]</c>.</param>
    /// <param name="environment">What it finds in its environment besides this process's.</param>
    public static Process Start(Type type, string test, IReadOnlyDictionary<string, string> environment)
    {
        string program = Environment.ProcessPath!;
        string[] host = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [type.Assembly.Location] : [];
        return ChildProcess.Start(
            program, [.. host, "-noLogo", "-noColor", "-explicit", "only", "-method", $"{type.FullName}.{test}"],
            environment: environment.Select(pair => new KeyValuePair<string, string?>(pair.Key, pair.Value)));
    }

    /// <summary>Waits for it, and fails with its output if it does.</summary>
    public static void Run(Type type, string test, IReadOnlyDictionary<string, string> environment)
    {
        using Process process = Start(type, test, environment);
        CommandOutcome outcome = ChildProcess.Finish(process);
        outcome.ExitCode.ShouldBe(0, outcome.Output + outcome.Error);
        outcome.Output.ShouldContain("Total: 1,", customMessage: "the test did not run");
    }
}
