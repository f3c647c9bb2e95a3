using CudaTrainer.Cli.Presentation;

namespace CudaTrainer.Cli;

/// <summary>Runs engine work with its progress shown and with Ctrl-C and SIGTERM heeded.</summary>
internal static class RunHost
{
    /// <returns>The exit code of <paramref name="work"/>.</returns>
    public static int Run(Terminal terminal, Func<RunPresenter, CancellationToken, int> work)
    {
        RunPresenter presenter = new(terminal);
        using Interruption interruption = new(terminal);
        try
        {
            return work(presenter, interruption.Token);
        }
        finally
        {
            presenter.CloseLine();
        }
    }
}
