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

    /// <summary>As <see cref="Show"/>: as JSON, or for people with the place where it was written.</summary>
    /// <param name="show">For people.</param>
    /// <param name="place">Where <paramref name="find"/> has written it.</param>
    public static void ShowWritten<TResult>(Terminal terminal, RunPresenter presenter, Func<TResult> find, bool json, Action<TResult> show,
        string place)
    {
        Show(terminal, presenter, find, json ? terminal.WriteJson : show);
        if (!json)
        {
            terminal.Output.WriteLine($"written to {place}");
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
