using CudaTrainer.Engine;

namespace CudaTrainer.Cli.Presentation;

/// <summary>Turns what stopped a command into a line for the user and an exit code.</summary>
internal static class Failure
{
    public static int Report(Exception exception, Terminal terminal)
    {
        switch (exception)
        {
            case OperationCanceledException:
                terminal.WriteLog("stopped");
                terminal.WriteJsonError("stopped", null);
                return ExitCode.Interrupted;
            case RunException run:
                terminal.WriteFailure(run.Message, run.Hint);
                break;
            case OutOfMemoryException:
                terminal.WriteFailure("out of memory", "try a smaller --batch-size, or fewer --workers");
                break;
            case IOException or UnauthorizedAccessException or InvalidDataException:
                terminal.WriteFailure(exception.Message);
                break;
            default:
                // The engine's own exceptions are written for users; anything else is a mistake in the program.
                if (exception.GetType().Namespace?.StartsWith(nameof(CudaTrainer), StringComparison.Ordinal) == true)
                {
                    terminal.WriteFailure(exception.Message);
                }
                else
                {
                    terminal.WriteFailure(
                        $"internal error: {exception.GetType().Name}: {exception.Message}",
                        terminal.Debug ? null : "this is a mistake in the program; --debug shows where");
                }

                break;
        }

        if (terminal.Debug)
        {
            terminal.WriteNotice(exception.ToString());
        }

        return ExitCode.Failed;
    }
}
