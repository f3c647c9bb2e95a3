using System.Diagnostics;
using System.Globalization;

namespace CudaTrainer.Fuzzer;

/// <summary>
/// Starts workers for a target one after another until the time is over: a reader may end its whole process. This process itself runs no
/// instrumented code.
/// </summary>
internal static class Hunt
{
    /// <returns>Whether nothing was found.</returns>
    public static bool Run(string target, string output, TimeSpan time, long limit, ulong seed)
    {
        Directory.CreateDirectory(output);
        string notesPath = Path.Combine(output, target + ".notes");
        var findings = new Findings(Path.Combine(output, "findings", target));
        var clock = Stopwatch.StartNew();
        long executions = 0, newInputs = 0, found = 0, branches = 0;
        do
        {
            File.Delete(notesPath);
            TimeSpan rest = time - clock.Elapsed;
            int code = Work(target, output, rest, limit - executions, seed++);
            using var notes = new Notes(notesPath);
            executions += notes.Counts.Executions;
            newInputs += notes.Counts.NewInputs;
            found += notes.Counts.Findings;
            branches = notes.Counts.Branches;
            if (code != 0)
            {
                byte[] input = notes.Current;
                string fault = code == Worker.Hung ? "Hang" : string.Create(CultureInfo.InvariantCulture, $"Exit{code}");
                if (findings.Add(input, new Verdict(fault, $"exit code {code}")) is { } path)
                {
                    found++;
                    Console.Error.WriteLine($"{target}: {fault}: {path}");
                }
            }
        }
        while (clock.Elapsed + TimeSpan.FromSeconds(2) < time && executions < limit);

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{target,-14} {executions,10} executions {newInputs,6} new inputs {branches,6} branches {found,4} findings ")
            + string.Create(CultureInfo.InvariantCulture, $"{clock.Elapsed.TotalSeconds,7:F0} s"));
        return found == 0;
    }

    private static int Work(string target, string output, TimeSpan time, long limit, ulong seed)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList =
            {
                typeof(Hunt).Assembly.Location, "work", target, output,
                time.TotalSeconds.ToString("F1", CultureInfo.InvariantCulture), limit.ToString(CultureInfo.InvariantCulture),
                seed.ToString(CultureInfo.InvariantCulture),
            },
        };

        // A reader that asks for gigabytes gets an OutOfMemoryException instead of the machine's memory.
        start.Environment["DOTNET_GCHeapHardLimit"] = "0x60000000";
        using Process worker = Process.Start(start)!;
        worker.WaitForExit();
        return worker.ExitCode;
    }
}
