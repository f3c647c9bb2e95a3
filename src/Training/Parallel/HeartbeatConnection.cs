using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace CudaTrainer.Training.Parallel;

/// <summary>What a frame says. The numbers are on the wire.</summary>
internal enum HeartbeatFrame : byte
{
    /// <summary>To rank 0, first: token, rank, process id, host.</summary>
    Hello = 1,

    /// <summary>The answer to it: the token.</summary>
    Welcome = 2,

    Heartbeat = 3,

    /// <summary>The sender ends because of an error of its own: the reason.</summary>
    Failed = 4,

    /// <summary>The sender has done its work.</summary>
    Finished = 5,

    /// <summary>From rank 0: a rank is lost; who and why.</summary>
    Lost = 6,
}

/// <summary>
/// One end of a connection, in frames: a byte that says which, two with the payload's length, little-endian, and the payload.
/// </summary>
internal sealed class HeartbeatConnection : IDisposable
{
    /// <summary>Reasons are cut to this.</summary>
    public const int MaxPayloadBytes = 4_096;

    private const int HeaderBytes = 3;

    private readonly Socket _socket;
    private readonly byte[] _received = new byte[MaxPayloadBytes];
    private readonly byte[] _header = new byte[HeaderBytes];
    private readonly byte[] _sent = new byte[HeaderBytes + MaxPayloadBytes];
    private readonly Lock _sending = new();
    private bool _hasLeft;
    private long _lastHeard = Environment.TickCount64;

    /// <param name="socket">Connected, with timeouts for the handshake.</param>
    public HeartbeatConnection(Socket socket)
    {
        _socket = socket;
        socket.NoDelay = true;
    }

    /// <summary>The other end, once it has said so.</summary>
    public RankName Peer { get; set; }

    /// <summary>Whether the other end has taken its leave, so that the end of the connection means nothing.</summary>
    public bool HasLeft
    {
        get => Volatile.Read(ref _hasLeft);
        set => Volatile.Write(ref _hasLeft, value);
    }

    public TimeSpan Silence => TimeSpan.FromMilliseconds(Environment.TickCount64 - Volatile.Read(ref _lastHeard));

    /// <summary>Counts the silence from now on.</summary>
    public void Forgive() => Volatile.Write(ref _lastHeard, Environment.TickCount64);

    /// <summary>After the handshake: reading waits for as long as it takes, and writing not at all for a peer that reads nothing.</summary>
    public void WaitLong()
    {
        _socket.ReceiveTimeout = 0;
        _socket.SendTimeout = 1_000;
    }

    /// <summary>From any thread.</summary>
    /// <returns>False when the connection is gone: the reading end will notice and report it.</returns>
    public bool Send(HeartbeatFrame frame, ReadOnlySpan<byte> payload = default)
    {
        lock (_sending)
        {
            _sent[0] = (byte)frame;
            BinaryPrimitives.WriteUInt16LittleEndian(_sent.AsSpan(1), (ushort)payload.Length);
            payload.CopyTo(_sent.AsSpan(HeaderBytes));
            try
            {
                _socket.Send(_sent.AsSpan(0, HeaderBytes + payload.Length));
                return true;
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    public bool Send(HeartbeatFrame frame, string text) => Send(frame, Cut(text));

    /// <summary>Waits for the next frame, on the one thread that reads.</summary>
    /// <param name="frame">What it is.</param>
    /// <param name="payload">Valid until the next call.</param>
    /// <returns>False when the connection has ended, the time is up, or what came is no frame.</returns>
    public bool TryReceive(out HeartbeatFrame frame, out ReadOnlySpan<byte> payload)
    {
        frame = default;
        payload = default;
        try
        {
            if (!Fill(_header))
            {
                return false;
            }

            int bytes = BinaryPrimitives.ReadUInt16LittleEndian(_header.AsSpan(1));
            if (bytes > MaxPayloadBytes || !Fill(_received.AsSpan(0, bytes)))
            {
                return false;
            }

            frame = (HeartbeatFrame)_header[0];
            payload = _received.AsSpan(0, bytes);
            Forgive();
            return true;
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Ends both directions, which wakes the thread that reads.</summary>
    public void Dispose()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The other end was quicker.
        }

        _socket.Dispose();
    }

    private static byte[] Cut(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.Length <= MaxPayloadBytes)
        {
            return bytes;
        }

        // Not within a letter: bytes 10xxxxxx continue one.
        int length = MaxPayloadBytes;
        while ((bytes[length] & 0xC0) == 0x80)
        {
            length--;
        }

        return bytes[..length];
    }

    private bool Fill(Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int read = _socket.Receive(bytes);
            if (read == 0)
            {
                return false;
            }

            bytes = bytes[read..];
        }

        return true;
    }
}
