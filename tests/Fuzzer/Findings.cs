namespace CudaTrainer.Fuzzer;

/// <summary>The folder of the inputs that showed a fault, one for each fault.</summary>
internal sealed class Findings(string folder)
{
    private static readonly TimeSpan MostReducing = TimeSpan.FromSeconds(20);

    /// <returns>Where the input was put; null if the fault is known.</returns>
    public string? Add(byte[] input, Verdict verdict)
    {
        Directory.CreateDirectory(folder);
        string name = verdict.Fault.Length > 120 ? verdict.Fault[..120] : verdict.Fault;
        string path = Path.Combine(folder, name + ".bin");
        if (File.Exists(path))
        {
            return null;
        }

        File.WriteAllBytes(path, input);
        File.WriteAllText(Path.ChangeExtension(path, ".txt"), verdict.Details + "\n");
        return path;
    }

    /// <summary>The input without the parts that the fault does not need.</summary>
    public static byte[] Reduce(FuzzTarget target, byte[] input, Verdict verdict, string scratch)
    {
        DateTime end = DateTime.UtcNow + MostReducing;
        for (int part = input.Length / 2; part > 0; part /= 2)
        {
            for (int at = 0; at + part <= input.Length && DateTime.UtcNow < end;)
            {
                byte[] shorter = target.Mend([.. input[..at], .. input[(at + part)..]]);
                if (shorter.Length < input.Length && Verdict.Of(target, shorter, scratch)?.Fault == verdict.Fault)
                {
                    input = shorter;
                }
                else
                {
                    at += part;
                }
            }
        }

        return input;
    }
}
