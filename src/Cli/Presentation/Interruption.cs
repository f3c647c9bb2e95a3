using System.Runtime.InteropServices;

namespace CudaTrainer.Cli.Presentation;

/// <summary>
/// Ctrl-C, SIGTERM and, where it is not ignored as under nohup, SIGHUP: the first asks the run to stop in order, the second ends the
/// process at once, and so does the time when stopping in order takes too long.
/// </summary>
internal sealed partial class Interruption : IDisposable
{
    private const int HangUp = 1;

    /// <summary>Within which the process has ended, whatever it was doing.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(9);

    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly Terminal _terminal;
    private readonly string _notice;
    private Timer? _end;
    private int _signals;

    /// <param name="stopping">What stopping in order means.</param>
    public Interruption(Terminal terminal, string stopping)
    {
        _terminal = terminal;
        _notice = $"{stopping}; once more to stop at once";
        PosixSignal[] signals = IgnoresHangUp() ? [PosixSignal.SIGINT, PosixSignal.SIGTERM]
            : [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP];
        _registrations = [.. signals.Select(signal => PosixSignalRegistration.Create(signal, Handle))];
    }

    public CancellationToken Token => _stop.Token;

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }

        _end?.Dispose();
        _stop.Dispose();
    }

    /// <summary>Whoever started the program wants it to outlive its terminal.</summary>
    private static bool IgnoresHangUp()
    {
        try
        {
            const string field = "SigIgn:";
            string? ignored = File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal));
            return ignored is not null && (Convert.ToUInt64(ignored[field.Length..].Trim(), 16) & (1UL << (HangUp - 1))) != 0;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            return false;
        }
    }

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _signals) > 1)
        {
            End();
        }

        // A fresh line: the terminal has just echoed ^C into the live one.
        _terminal.WriteNotice(_terminal.IsLive ? $"\n{_notice}" : _notice);
        _end = new Timer(_ => Overdue(), null, Patience, Timeout.InfiniteTimeSpan);
        _stop.Cancel();
    }

    private void Overdue()
    {
        _terminal.WriteNotice(
            $"what is at work does not stop within {Patience.TotalSeconds:0} s: ended at once; what was saved before stays");
        End();
    }

    /// <summary>Not through <see cref="Environment.Exit"/>, which waits for threads to come to a safe point.</summary>
    private static void End() => exit(ExitCode.Interrupted);

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void exit(int code);
}
