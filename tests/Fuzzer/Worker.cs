using System.Diagnostics;
using System.Security.Cryptography;

namespace CudaTrainer.Fuzzer;

/// <summary>
/// Feeds one reader with changed inputs until the time is over. An input that takes a branch of the reader for the first time is kept and
/// changed further.
/// </summary>
internal sealed class Worker(FuzzTarget target, string output, TimeSpan time, long limit, ulong seed)
{
    private const int LongestKept = 1 << 16;

    /// <summary>Of the processor; another program's load must not look like a reader that hangs.</summary>
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(5);

    private readonly Findings _findings = new(Path.Combine(output, "findings", target.Name));
    private readonly List<byte[]> _inputs = [];
    private long _executions;
    private long _new;
    private long _found;

    /// <summary>Ends the process, with this code, when a reader hangs.</summary>
    public const int Hung = 3;

    public void Run(CoverageMap coverage)
    {
        string scratch = Directory.CreateDirectory(Path.Combine(Scratch, $"{target.Name}-{Environment.ProcessId}")).FullName;
        string kept = Directory.CreateDirectory(Path.Combine(output, "corpus", target.Name)).FullName;
        using var notes = new Notes(Path.Combine(output, target.Name + ".notes"));
        try
        {
            foreach (byte[] input in Beginning(kept))
            {
                notes.Begin(input);
                coverage.Begin();
                Verdict? verdict = Verdict.Of(target, input, scratch);
                if (verdict is not null)
                {
                    Report(input, verdict, scratch);
                }

                _ = coverage.IsNew();
                _inputs.Add(input);
            }

            var watch = new Thread(() => Watch(notes)) { IsBackground = true };
            watch.Start();
            Hunt(coverage, notes, scratch, kept);
        }
        finally
        {
            Directory.Delete(scratch, recursive: true);
        }
    }

    /// <summary>In memory where the system has such a folder.</summary>
    public static string Scratch { get; } =
        Directory.Exists("/dev/shm") ? "/dev/shm/cudatrainer-fuzz" : Path.Combine(Path.GetTempPath(), "cudatrainer-fuzz");

    private IEnumerable<byte[]> Beginning(string kept)
    {
        string corpus = Path.Combine(Places.Corpus, target.Name);
        return [.. target.Seeds(), .. FilesIn(corpus), .. FilesIn(kept)];

        static IEnumerable<byte[]> FilesIn(string folder) => Directory.Exists(folder)
            ? Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal).Select(File.ReadAllBytes)
            : [];
    }

    private void Hunt(CoverageMap coverage, Notes notes, string scratch, string kept)
    {
        var mutator = new Mutator(seed, target.Words);
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < time && _executions < limit)
        {
            byte[] input = mutator.Mutate(Choose(mutator), _inputs[mutator.Below(_inputs.Count)]);
            if (mutator.Below(4) > 0)
            {
                input = target.Mend(input);
            }

            notes.Begin(input);
            coverage.Begin();
            Verdict? verdict = Verdict.Of(target, input, scratch);
            Interlocked.Increment(ref _executions);
            if (verdict is not null)
            {
                Report(input, verdict, scratch);
            }
            else if (coverage.IsNew() && input.Length <= LongestKept)
            {
                _new++;
                _inputs.Add(input);
                File.WriteAllBytes(Path.Combine(kept, Convert.ToHexStringLower(SHA256.HashData(input))[..16]), input);
            }

            notes.Count(_executions, _new, _found, coverage.Count);
        }
    }

    /// <summary>Every other time one of the latest, which led somewhere new.</summary>
    private byte[] Choose(Mutator mutator)
    {
        const int latest = 40;
        return mutator.Below(2) == 0 && _inputs.Count > latest
            ? _inputs[_inputs.Count - 1 - mutator.Below(latest)]
            : _inputs[mutator.Below(_inputs.Count)];
    }

    private void Report(byte[] input, Verdict verdict, string scratch)
    {
        if (_findings.Add(input, verdict) is { } path)
        {
            _found++;
            File.WriteAllBytes(path, Findings.Reduce(target, input, verdict, scratch));
            Console.Error.WriteLine($"{target.Name}: {verdict.Fault}: {path}");
        }
    }

    private void Watch(Notes notes)
    {
        long at = -1;
        TimeSpan since = default;
        while (true)
        {
            Thread.Sleep(500);
            TimeSpan now = Environment.CpuUsage.TotalTime;
            long executions = Interlocked.Read(ref _executions);
            if (executions != at)
            {
                (at, since) = (executions, now);
            }
            else if (now - since > Hang && Volatile.Read(ref _found) is var found && found == notes.Counts.Findings)
            {
                Environment.Exit(Hung);
            }
        }
    }
}
