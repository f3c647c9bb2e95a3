namespace CudaTrainer.Cli.Presentation;

/// <summary>What the two output streams are and what the user asked of them.</summary>
/// <param name="Width">Columns of the terminal.</param>
internal sealed record TerminalSettings(bool OutputIsTerminal, bool ErrorIsTerminal, bool Colour, int Width, bool Quiet, bool Debug)
{
    /// <summary>Width for files and pipes: nothing is wrapped there.</summary>
    public const int Unlimited = 1 << 16;

    private const int DefaultWidth = 100;

    public static TerminalSettings Detect(bool quiet, bool debug)
    {
        bool dumb = Environment.GetEnvironmentVariable("TERM") is "dumb" or "" or null;
        bool outputIsTerminal = !Console.IsOutputRedirected && !dumb, errorIsTerminal = !Console.IsErrorRedirected && !dumb;
        return new(
            outputIsTerminal,
            errorIsTerminal,
            Colour: string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")),
            Width: outputIsTerminal || errorIsTerminal ? ConsoleWidth() : DefaultWidth,
            quiet,
            debug);
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
