using System.Runtime.InteropServices;

namespace CudaTrainer.Training.RunFiles;

/// <summary>What the operating system says about the machine.</summary>
internal static class Machine
{
    /// <summary>As its maker calls it; the architecture where the system does not say.</summary>
    public static string ProcessorName => ProcValue("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString();

    /// <summary>The first <c>key : value</c> of a file under /proc; null where there is none.</summary>
    public static string? ProcValue(string path, string key)
    {
        try
        {
            string? line = File.ReadLines(path).FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal));
            return line?[(line.IndexOf(':') + 1)..].Trim();
        }
        catch (IOException)
        {
            return null;
        }
    }
}
