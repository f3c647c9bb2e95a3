using System.Runtime.InteropServices;

namespace CudaTrainer.Cli.Presentation;

/// <summary>
/// Ctrl-C and SIGTERM: the first asks the run to stop in order, the second ends the process at once.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly Terminal _terminal;
    private readonly string _notice;
    private int _signals;

    /// <param name="stopping">What stopping in order means.</param>
    public Interruption(Terminal terminal, string stopping)
    {
        _terminal = terminal;
        _notice = $"{stopping}; once more to stop at once";
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        ];
    }

    public CancellationToken Token => _stop.Token;

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }

        _stop.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _signals) > 1)
        {
            Environment.Exit(ExitCode.Interrupted);
        }

        // A fresh line: the terminal has just echoed ^C into the live one.
        _terminal.Error.WriteLine(_terminal.IsLive ? $"\n{_notice}" : _notice);
        _stop.Cancel();
    }
}
