using Spectre.Console;
using Spectre.Console.Rendering;

namespace CudaTrainer.Cli.Presentation;

/// <summary>
/// A console that knows how wide the terminal behind it is, and wraps nothing: terminals do that by themselves, and then the lines stay
/// whole when they are copied.
/// </summary>
/// <param name="inner">Writes.</param>
/// <param name="columns">Of the terminal; <see cref="TerminalSettings.Unlimited"/> where there is none.</param>
internal sealed class SizedConsole(IAnsiConsole inner, int columns) : IAnsiConsole
{
    public int Columns => columns;

    public Profile Profile => inner.Profile;

    public IAnsiConsoleCursor Cursor => inner.Cursor;

    public IAnsiConsoleInput Input => inner.Input;

    public IExclusivityMode ExclusivityMode => inner.ExclusivityMode;

    public RenderPipeline Pipeline => inner.Pipeline;

    public void Clear(bool home) => inner.Clear(home);

    public void Write(IRenderable renderable) => inner.Write(renderable);

    public void WriteAnsi(Action<AnsiWriter> action) => inner.WriteAnsi(action);
}
