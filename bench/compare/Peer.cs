using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace CudaTrainer.Bench.Compare;

/// <summary>
/// Another engine in a process of its own. It prints <c>@ready VERSION</c> when its weights are loaded and it is warm, then answers each
/// line of its input with <c>@done NUMBERS</c>: for <c>run N</c> the seconds that N frames or steps took. Lines without @ are its own
/// affair.
/// </summary>
internal sealed class Peer : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(30);

    private readonly Process _process;

    private Peer(Process process, string version)
    {
        _process = process;
        Version = version;
    }

    /// <summary>Name, version and setting.</summary>
    public string Version { get; }

    /// <param name="program">What to start.</param>
    /// <param name="reason">Why there is no such peer here.</param>
    /// <param name="environment">Variables to set, or with a null value to remove.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>Null if it cannot run here.</returns>
    public static Peer? Start(string program, out string reason, IReadOnlyDictionary<string, string?> environment,
        params string[] arguments)
    {
        var start = new ProcessStartInfo(program,
            arguments)
        { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach ((string? name, string? value) in environment)
        {
            start.Environment[name] = value;
        }

        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception error)
        {
            reason = $"{program}: {error.Message}";
            return null;
        }

        string lastError = "it ended without a word";
        process.ErrorDataReceived += (_, line) => lastError = string.IsNullOrWhiteSpace(line.Data) ? lastError : line.Data;
        process.BeginErrorReadLine();
        string? answer = ReadAnswer(process, "@ready ");
        if (answer is null)
        {
            process.WaitForExit();
            reason = lastError;
            process.Dispose();
            return null;
        }

        reason = string.Empty;
        return new Peer(process, answer);
    }

    /// <summary>The numbers with which the peer answers a command.</summary>
    /// <exception cref="InvalidOperationException">It died.</exception>
    public double[] Ask(string command)
    {
        _process.StandardInput.WriteLine(command);
        _process.StandardInput.Flush();
        string answer = ReadAnswer(_process, "@done ") ?? throw new InvalidOperationException($"{Version} ended while it ran '{command}'.");
        return [.. answer.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(number => double.Parse(number, CultureInfo.InvariantCulture))];
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(5)))
        {
            _process.Kill();
        }

        _process.Dispose();
    }

    private static string? ReadAnswer(Process process, string prefix)
    {
        while (true)
        {
            Task<string?> line = process.StandardOutput.ReadLineAsync();
            if (!line.Wait(Patience))
            {
                process.Kill();
                return null;
            }

            if (line.Result is null)
            {
                return null;
            }

            if (line.Result.StartsWith(prefix, StringComparison.Ordinal))
            {
                return line.Result[prefix.Length..];
            }
        }
    }
}
