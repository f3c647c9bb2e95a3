using CudaTrainer.Training.Events;

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

    /// <summary>Shows what a command has found, also where its files could not be written.</summary>
    /// <param name="find">Finds it and writes its files.</param>
    /// <param name="show">On standard output.</param>
    public static TResult Show<TResult>(Terminal terminal, RunPresenter presenter, Func<TResult> find, Action<TResult> show)
    {
        TResult result;
        try
        {
            result = find();
        }
        catch (UnwrittenResultException exception) when (exception.Result is TResult found)
        {
            presenter.CloseLine();
            show(found);
            terminal.Output.Flush();
            throw;
        }

        presenter.CloseLine();
        show(result);
        return result;
    }
}
