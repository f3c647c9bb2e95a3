using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Connections;

namespace CudaTrainer.Serve;

/// <summary>
/// Gives the refusals that Kestrel writes by itself, before a request reaches any code of ours (malformed, endless, too slow), the body
/// that every other refusal has.
/// </summary>
internal static class RefusalWriter
{
    /// <summary>Every answer of ours has it, and none of Kestrel's own.</summary>
    public const string Mark = "X-Content-Type-Options";

    private const int StatusAt = 9, ReasonAt = 13;

    private static ReadOnlySpan<byte> Protocol => "HTTP/1.1 "u8;

    private static ReadOnlySpan<byte> EndOfHead => "\r\n\r\n"u8;

    /// <summary>A connection's own part of the pipeline: what is written passes through here.</summary>
    public static ConnectionDelegate Wrap(ConnectionDelegate next) => async connection =>
    {
        IDuplexPipe transport = connection.Transport;
        Pipe pipe = new();
        connection.Transport = new Duplex(transport.Input, pipe.Writer);
        Task passing = Pass(pipe.Reader, transport.Output);
        try
        {
            await next(connection);
        }
        finally
        {
            await pipe.Writer.CompleteAsync();
            await passing;
            connection.Transport = transport;
        }
    };

    /// <summary>The same refusal with a body; null for any other piece of an answer.</summary>
    internal static byte[]? WithBody(ReadOnlySpan<byte> piece)
    {
        if (piece.Length < ReasonAt || !piece.StartsWith(Protocol) || piece[StatusAt] is not ((byte)'4' or (byte)'5')
            || piece.IndexOf(EndOfHead) != piece.Length - EndOfHead.Length)
        {
            return null;
        }

        string[] lines = Encoding.ASCII.GetString(piece).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        if (!lines.Contains("Content-Length: 0", StringComparer.OrdinalIgnoreCase)
            || lines.Any(line => line.StartsWith(Mark, StringComparison.OrdinalIgnoreCase)))
        {
            return null;
        }

        int status = int.Parse(lines[0].AsSpan(StatusAt, 3), CultureInfo.InvariantCulture);
        string message = $"The request was refused: {lines[0][ReasonAt..].ToLowerInvariant()}.";
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(new { error = new { code = CodeOf(status), message } });
        StringBuilder head = new();
        head.Append(lines[0]).Append("\r\n");
        foreach (string line in lines.Skip(1).Where(line => !line.StartsWith("Content-Length", StringComparison.OrdinalIgnoreCase)))
        {
            head.Append(line).Append("\r\n");
        }

        head.Append(CultureInfo.InvariantCulture,
            $"Content-Type: application/json; charset=utf-8\r\nContent-Length: {body.Length}\r\n{Mark}: nosniff\r\n\r\n");
        return [.. Encoding.ASCII.GetBytes(head.ToString()), .. body];
    }

    /// <summary>For programs, as in docs/serve.md.</summary>
    internal static string CodeOf(int status) => status switch
    {
        414 => "too_long",
        431 => "headers_too_large",
        _ => "bad_request",
    };

    private static async Task Pass(PipeReader from, PipeWriter to)
    {
        Exception? failure = null;
        try
        {
            ReadResult read;
            do
            {
                read = await from.ReadAsync();
                // Kestrel writes a refusal in one piece.
                if (read.Buffer.IsSingleSegment && WithBody(read.Buffer.FirstSpan) is { } refusal)
                {
                    to.Write(refusal);
                }
                else
                {
                    foreach (ReadOnlyMemory<byte> segment in read.Buffer)
                    {
                        to.Write(segment.Span);
                    }
                }

                from.AdvanceTo(read.Buffer.End);
                if ((await to.FlushAsync()).IsCompleted)
                {
                    break;
                }
            }
            while (!read.IsCompleted);
        }
        catch (Exception exception)
        {
            // The connection broke: whoever writes learns it from the pipe.
            failure = exception;
        }

        await from.CompleteAsync(failure);
    }

    private sealed class Duplex(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }
}
