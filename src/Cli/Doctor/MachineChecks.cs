using System.Globalization;
using System.Runtime.InteropServices;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Cli.Doctor;

/// <summary>The machine: system, processor, memory, vector instructions, terminal.</summary>
internal static class MachineChecks
{
    /// <summary>VGG19 alone has 548 MB of weights.</summary>
    private const long LeastMemory = 2L << 30;

    public static IEnumerable<Check> Run(TerminalSettings terminal)
    {
        yield return Check.Ok("system", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.OSArchitecture}");
        yield return Check.Ok(".NET", RuntimeInformation.FrameworkDescription);
        yield return Check.Ok("processor", $"{Machine.ProcessorName}, {Environment.ProcessorCount} cores for this process");
        yield return Memory();
        yield return Files();
        yield return Simd();
        yield return Check.Ok("terminal", terminal.ErrorIsTerminal
            ? string.Create(CultureInfo.InvariantCulture,
                $"{terminal.Width} columns, {(terminal.Colour ? "colour" : "no colour (NO_COLOR)")}")
            : "not a terminal: plain lines");
    }

    private static Check Memory()
    {
        // Counts a container's limit, not only the machine's memory.
        long total = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        string found = FreeMemory() is { } free ? $"{MetricText.Size(total)}, {MetricText.Size(free)} free" : MetricText.Size(total);
        return total < LeastMemory
            ? Check.Warn("memory", found, "extracting features needs about 2 GiB; training on features needs less")
            : Check.Ok("memory", found);
    }

    private static Check Files()
    {
        long limit = OpenFiles.Raise();
        string found = limit > int.MaxValue ? "no limit" : $"{limit} at a time";
        return limit < OpenFiles.Needed
            ? Check.Fail("open files", found, $"raise the limit to {OpenFiles.Needed} at least: ulimit -n 1024")
            : Check.Ok("open files", found);
    }

    private static Check Simd()
    {
        try
        {
            string available = string.Join(", ", SimdSelection.Available).ToLowerInvariant();
            return Check.Ok("SIMD", $"{available}; in force: {SimdSelection.Current.ToString().ToLowerInvariant()}");
        }
        catch (TypeInitializationException exception)
        {
            return Check.Fail("SIMD", exception.InnerException?.Message ?? exception.Message,
                $"unset {SimdSelection.Variable}, or name a level this machine has");
        }
    }

    private static long? FreeMemory() =>
        Machine.ProcValue("/proc/meminfo", "MemAvailable") is { } text
            && long.TryParse(text.Split(' ')[0], CultureInfo.InvariantCulture, out long kibibytes)
            ? kibibytes << 10
            : null;
}
