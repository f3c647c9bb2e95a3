using System.Text;

namespace CudaTrainer.Cli.Presentation;

/// <summary>
/// Standard error for a program that must not end because nobody can read it: a terminal that has gone away, a closed pipe, a log on a full
/// disk. What cannot be written is dropped. Or standard output, which carries results: there it is an error that says so.
/// </summary>
/// <param name="required">What to call it in an error; null for dropping.</param>
internal sealed class SteadyWriter(TextWriter inner, string? required = null) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => Try(() => inner.Write(value));

    public override void Write(string? value) => Try(() => inner.Write(value));

    public override void Write(char[] buffer, int index, int count) => Try(() => inner.Write(buffer, index, count));

    public override void WriteLine() => Try(inner.WriteLine);

    public override void WriteLine(string? value) => Try(() => inner.WriteLine(value));

    public override void Flush() => Try(inner.Flush);

    private void Try(Action write)
    {
        try
        {
            write();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            // Of what is dropped there is nobody to tell.
            if (required is not null)
            {
                throw new IOException($"{required} cannot be written: {exception.Message.TrimEnd('.')}.", exception);
            }
        }
    }
}
