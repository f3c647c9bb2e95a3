using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>What a camera of <see cref="CameraServer"/> sends.</summary>
/// <param name="Bytes">An MPEG transport stream, or what pretends to be one.</param>
/// <param name="Seconds">That it lasts; it is sent in that time.</param>
internal sealed record CameraScript(byte[] Bytes, double Seconds)
{
    /// <summary>The login that it wants, as <c>user:password</c>; null for none.</summary>
    public string? Login { get; init; }

    /// <summary>Seconds after which nothing more is sent although the connection stays.</summary>
    public double Stall { get; init; } = double.PositiveInfinity;

    public string ContentType { get; init; } = "video/mp2t";

    /// <summary>Whether it comes in segments of a second, of which a playlist names those that are there (RFC 8216).</summary>
    public bool IsSegmented { get; init; }

    /// <summary>One picture after the other, as cameras for web pages send them, without times.</summary>
    /// <param name="pictures">JPEG files, one after the other.</param>
    public static CameraScript OfPictures(byte[] pictures, double seconds)
    {
        ReadOnlySpan<byte> begins = [0xFF, 0xD8, 0xFF];
        using var parts = new MemoryStream();
        for (int at = 0; at < pictures.Length;)
        {
            int next = pictures.AsSpan(at + 1).IndexOf(begins), length = next < 0 ? pictures.Length - at : next + 1;
            parts.Write(Encoding.ASCII.GetBytes($"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"));
            parts.Write(pictures, at, length);
            parts.Write("\r\n"u8);
            at += length;
        }

        return new CameraScript(parts.ToArray(), seconds) { ContentType = "multipart/x-mixed-replace;boundary=frame" };
    }
}

/// <summary>
/// Cameras on loopback, at the speed that they were recorded with: a transport stream or pictures by HTTP, or a transport stream by RTSP
/// within its connection (RFC 2326, RFC 3551's MP2T).
/// </summary>
internal sealed class CameraServer : IDisposable
{
    private const int Packet = 188;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<string, CameraScript> _script;
    private readonly bool _isRtsp;
    private int _connections;
    private long _playlistBegan;

    /// <param name="script">By the path that is asked for.</param>
    public CameraServer(bool isRtsp, Func<string, CameraScript> script)
    {
        (_isRtsp, _script) = (isRtsp, script);
        _listener.Start();
        _ = Accept();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Times that something was played.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <param name="login">As <c>user:password@</c>.</param>
    public string Address(string path = "/live", string login = "") => $"{(_isRtsp ? "rtsp" : "http")}://{login}127.0.0.1:{Port}{path}";

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Stop();
        _stop.Dispose();
    }

    private async Task Accept()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                TcpClient client = await _listener.AcceptTcpClientAsync(_stop.Token);
                _ = Serve(client);
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task Serve(TcpClient client)
    {
        using (client)
        {
            try
            {
                await (_isRtsp ? ServeRtsp(client.GetStream()) : ServeHttp(client.GetStream()));
            }
            catch (Exception exception) when (exception is OperationCanceledException or IOException or SocketException)
            {
                // The other side has gone, or the test is over.
            }
        }
    }

    private async Task ServeHttp(NetworkStream stream)
    {
        (string request, string headers) = await ReadRequest(stream);
        string path = request.Split(' ')[1];
        CameraScript script = _script(path);
        if (!IsLoggedIn(script, headers))
        {
            await Write(stream, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"camera\"\r\nContent-Length: 0\r\n\r\n");
            return;
        }

        await Write(stream, $"HTTP/1.1 200 OK\r\nContent-Type: {script.ContentType}\r\nConnection: close\r\n\r\n");
        if (script.IsSegmented)
        {
            await stream.WriteAsync(Segment(script, path), _stop.Token);
            return;
        }

        await Play(script, piece => stream.WriteAsync(piece, _stop.Token).AsTask());
    }

    /// <summary>The playlist, with three segments from the beginning, or a segment by its number.</summary>
    private ReadOnlyMemory<byte> Segment(CameraScript script, string path)
    {
        Interlocked.CompareExchange(ref _playlistBegan, Stopwatch.GetTimestamp(), 0);
        int length = (int)(script.Bytes.Length / script.Seconds) / Packet * Packet, count = (script.Bytes.Length + length - 1) / length;
        if (int.TryParse(Path.GetFileNameWithoutExtension(path), out int number))
        {
            return script.Bytes.AsMemory(number * length, Math.Min(length, script.Bytes.Length - (number * length)));
        }

        int there = Math.Min(count, 3 + (int)Stopwatch.GetElapsedTime(_playlistBegan).TotalSeconds);
        IEnumerable<string> lines = Enumerable.Range(0, there).Select(i => $"#EXTINF:1.0,\n{i}.ts\n");
        return Encoding.ASCII.GetBytes(
            $"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n{string.Concat(lines)}");
    }

    private async Task ServeRtsp(NetworkStream stream)
    {
        while (true)
        {
            (string request, string headers) = await ReadRequest(stream);
            string[] parts = request.Split(' ');
            if (parts.Length < 2)
            {
                return;
            }

            string sequence = headers.Split("\r\n").First(line => line.StartsWith("CSeq:", StringComparison.OrdinalIgnoreCase));
            CameraScript script = _script(new Uri(parts[1]).AbsolutePath.Replace("/track1", ""));
            string answer = $"RTSP/1.0 200 OK\r\n{sequence}\r\nSession: 1\r\n";
            if (!IsLoggedIn(script, headers))
            {
                await Write(stream, $"RTSP/1.0 401 Unauthorized\r\n{sequence}\r\nWWW-Authenticate: Basic realm=\"camera\"\r\n\r\n");
                continue;
            }

            switch (parts[0])
            {
                case "DESCRIBE":
                    const string sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track1\r\n";
                    await Write(stream, $"{answer}Content-Type: application/sdp\r\nContent-Length: {sdp.Length}\r\n\r\n{sdp}");
                    break;
                case "SETUP":
                    await Write(stream, $"{answer}Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n");
                    break;
                case "PLAY":
                    await Write(stream, $"{answer}Range: npt=0-\r\n\r\n");
                    await PlayRtp(stream, script);
                    return;
                default:
                    await Write(stream, $"{answer}Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n");
                    break;
            }
        }
    }

    private async Task PlayRtp(NetworkStream stream, CameraScript script)
    {
        ushort sequence = 0;
        long began = Stopwatch.GetTimestamp();
        await Play(script, async piece =>
        {
            byte[] packet = new byte[4 + 12 + piece.Length];
            packet[0] = (byte)'$';
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)(12 + piece.Length));
            packet[4] = 0x80;
            packet[5] = 33;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), sequence++);
            BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(8), (uint)(Stopwatch.GetElapsedTime(began).TotalSeconds * 90000));
            BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(12), 0x1234);
            piece.CopyTo(packet.AsMemory(16));
            await stream.WriteAsync(packet, _stop.Token);
        });
    }

    private async Task Play(CameraScript script, Func<ReadOnlyMemory<byte>, Task> send)
    {
        Interlocked.Increment(ref _connections);
        long began = Stopwatch.GetTimestamp();
        for (int at = 0; at < script.Bytes.Length;)
        {
            int length = Math.Min(7 * Packet, script.Bytes.Length - at);
            await send(script.Bytes.AsMemory(at, length));
            at += length;
            double due = script.Seconds * at / script.Bytes.Length;
            if (due > script.Stall)
            {
                await Task.Delay(Timeout.Infinite, _stop.Token);
            }

            TimeSpan left = TimeSpan.FromSeconds(due) - Stopwatch.GetElapsedTime(began);
            if (left > TimeSpan.Zero)
            {
                await Task.Delay(left, _stop.Token);
            }
        }
    }

    private static bool IsLoggedIn(CameraScript script, string headers) => script.Login is null
        || headers.Contains($"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(script.Login))}", StringComparison.Ordinal);

    private async Task<(string Request, string Headers)> ReadRequest(NetworkStream stream)
    {
        var text = new StringBuilder();
        byte[] one = new byte[1];
        while (!text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await stream.ReadAsync(one, _stop.Token) == 0)
            {
                throw new IOException("The other side has gone.");
            }

            text.Append((char)one[0]);
        }

        string[] parts = text.ToString().Split("\r\n", 2);
        return (parts[0], parts[1]);
    }

    private Task Write(NetworkStream stream, string text) => stream.WriteAsync(Encoding.ASCII.GetBytes(text), _stop.Token).AsTask();
}
