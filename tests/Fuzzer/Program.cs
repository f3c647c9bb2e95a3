using System.Globalization;
using System.Runtime.CompilerServices;
using CudaTrainer.Fuzzer;
using SharpFuzz;

switch (args)
{
    case ["instrument", var folder]:
        Instrument(folder);
        return 0;
    case ["list"]:
        Console.WriteLine(string.Join('\n', Targets.Names));
        return 0;
    case ["hunt", var name, var output, var seconds, var executions, var seed]:
        return Hunt.Run(name, output, Seconds(seconds), Number(executions), (ulong)Number(seed)) ? 0 : 1;
    case ["work", var name, var output, var seconds, var executions, var seed]:
        using (var coverage = new CoverageMap())
        {
            Work(coverage, name, output, Seconds(seconds), Number(executions), (ulong)Number(seed));
        }

        return 0;
    case ["try", var name, var file]:
        return Try(name, file);
    default:
        Console.Error.WriteLine("instrument FOLDER | list | hunt TARGET OUTPUT SECONDS EXECUTIONS SEED | try TARGET FILE");
        return 2;
}

static TimeSpan Seconds(string text) => TimeSpan.FromSeconds(double.Parse(text, CultureInfo.InvariantCulture));

static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

// Apart, so that no instrumented assembly is loaded before there are counters.
[MethodImpl(MethodImplOptions.NoInlining)]
static void Work(CoverageMap coverage, string name, string output, TimeSpan time, long executions, ulong seed) =>
    new Worker(Targets.Named(name), output, time, executions, seed).Run(coverage);

static int Try(string name, string file)
{
    using var coverage = new CoverageMap();
    string folder = Directory.CreateDirectory(Path.Combine(Worker.Scratch, $"try-{Environment.ProcessId}")).FullName;
    try
    {
        Verdict? verdict = Verdict.Of(Targets.Named(name), File.ReadAllBytes(file), folder);
        Console.WriteLine(verdict?.Details ?? "taken, or refused as documented");
        return verdict is null ? 0 : 1;
    }
    finally
    {
        Directory.Delete(folder, recursive: true);
    }
}

static void Instrument(string folder)
{
    foreach (string assembly in new[] { "CudaTrainer.Formats.dll", "CudaTrainer.Data.dll", "CudaTrainer.Training.dll",
        "CudaTrainer.Serve.dll", "cudatrainer.dll" })
    {
        int types = Fuzzer.Instrument(Path.Combine(folder, assembly), _ => true, Options.Value).Count();
        Console.WriteLine($"{assembly}: {types} types");
    }
}
