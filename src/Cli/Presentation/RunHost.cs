namespace CudaTrainer.Cli.Presentation;

/// <summary>Runs engine work with its progress shown and with Ctrl-C and SIGTERM heeded.</summary>
internal static class RunHost
{
    /// <param name="stopping">What the first Ctrl-C is answered with.</param>
    /// <returns>The exit code of <paramref name="work"/>.</returns>
    public static int Run(Terminal terminal, Func<RunPresenter, CancellationToken, int> work, string stopping = "stopping: saving state")
    {
        RunPresenter presenter = new(terminal);
        using Interruption interruption = new(terminal, stopping);
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
