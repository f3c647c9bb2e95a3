using System.Diagnostics;

namespace CudaTrainer.Fuzzer;

/// <summary>What one input made of a reader.</summary>
/// <param name="Fault">Tells faults apart: the kind, and the method of ours that it came from.</param>
/// <param name="Details">For whoever mends it.</param>
internal sealed record Verdict(string Fault, string Details)
{
    /// <summary>What a reader may take up for a small input.</summary>
    private const long MostBytes = 1L << 30;

    private const string OurNames = "CudaTrainer.";

    /// <returns>Null if the reader took the input, or refused it as it says it does.</returns>
    public static Verdict? Of(FuzzTarget target, byte[] input, string folder)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            target.Read(input, folder);
        }
        catch (Exception exception) when (target.IsDocumented(exception))
        {
            // As documented.
        }
#pragma warning disable CA1031 // Every other exception is what is looked for.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return new Verdict($"{exception.GetType().Name}-{Origin(exception)}", exception.ToString());
        }

        long taken = GC.GetAllocatedBytesForCurrentThread() - before;
        return taken > MostBytes ? new Verdict("Memory", $"{taken:N0} bytes were allocated") : null;
    }

    private static string Origin(Exception exception)
    {
        foreach (StackFrame frame in new StackTrace(exception).GetFrames())
        {
            if (frame.GetMethod() is { DeclaringType: { FullName: { } type } } method
                && type.StartsWith(OurNames, StringComparison.Ordinal))
            {
                string name = $"{type[OurNames.Length..]}.{method.Name}";
                return string.Concat(name.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter == '.' ? letter : '_'));
            }
        }

        return "nowhere";
    }
}
