using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What the two output streams are.</summary>
/// <param name="Width">Columns of the terminal.</param>
internal sealed record TerminalSettings(bool OutputIsTerminal, bool ErrorIsTerminal, bool Colour, int Width)
{
    /// <summary>A width at which nothing is wrapped.</summary>
    public const int Unlimited = 1 << 16;

    private const int DefaultWidth = 100;

    /// <summary>Neither is a terminal.</summary>
    public static TerminalSettings Pipes { get; } = new(false, false, false, DefaultWidth);

    public static TerminalSettings Detect()
    {
        bool dumb = Environment.GetEnvironmentVariable("TERM") is "dumb" or "" or null;

        // mpirun gives each process a terminal of its own, and puts together what they write there line by line.
        bool shared = MpiWorld.IsLaunched;
        bool outputIsTerminal = !Console.IsOutputRedirected && !dumb && !shared, errorIsTerminal = !Console.IsErrorRedirected && !dumb
            && !shared;
        return new(
            outputIsTerminal,
            errorIsTerminal,
            Colour: string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")),
            Width: outputIsTerminal || errorIsTerminal ? ConsoleWidth() : DefaultWidth);
    }

    private static int ConsoleWidth()
    {
        try
        {
            return Console.WindowWidth is > 20 and int width ? width : DefaultWidth;
        }
        catch (IOException)
        {
            return DefaultWidth;
        }
    }
}
