using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using CudaTrainer.Engine;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// Tells every process of a run within seconds when one of them dies, and why one fails: TCP connections beside MPI, which says nothing of
/// it.
/// </summary>
/// <remarks>
/// <para>
/// Rank 0 listens, every other rank connects to it, and both sides of a connection send a sign of life each second. A rank is lost when its
/// connection ends without its leave, when it says that it failed, or when it is silent for ten seconds; rank 0 tells the others. The first
/// loss is the one that counts: those after it are its consequences. Threads in the background do all this, and keep no process alive.
/// </para>
/// <para>
/// A rank takes its leave by <see cref="Finish"/>, after <see cref="MpiWorld.Finish"/>. One that is disposed without it has failed, since
/// the others may be waiting for it: <see cref="Fail"/> says why.
/// </para>
/// <para>Whoever connects without the random token that was sent through MPI is ignored. Nothing is encrypted.</para>
/// </remarks>
internal sealed class Heartbeat : IDisposable
{
    private readonly HeartbeatOptions _options;
    private readonly RankName _me;
    private readonly HeartbeatInvitation _invitation;
    private readonly CancellationTokenSource _lost = new();
    private readonly ManualResetEventSlim _ending = new();
    private readonly Lock _ends = new();

    /// <summary>By rank on rank 0, null until it has joined; elsewhere the one to rank 0.</summary>
    private readonly HeartbeatConnection?[] _connections;

    private readonly Socket? _listener;
    private string? _lostReason;
    private bool _hasEnded;

    private Heartbeat(RankName me, HeartbeatInvitation invitation, int connections, Socket? listener, HeartbeatOptions options)
    {
        _me = me;
        _invitation = invitation;
        _connections = new HeartbeatConnection?[connections];
        _listener = listener;
        _options = options;
        Lost = _lost.Token;
    }

    /// <summary>Cancelled when a rank was lost, on a thread of the heartbeat; by then rank 0 has told the others.</summary>
    public CancellationToken Lost { get; }

    /// <summary>Which rank was lost and how; null as long as none was.</summary>
    public string? LostReason => Volatile.Read(ref _lostReason);

    /// <summary>What the others need to join.</summary>
    internal HeartbeatInvitation Invitation => _invitation;

    /// <summary>
    /// Connects all processes, which call it together. From then on <see cref="MpiWorld.WhileWaiting"/> throws when one is lost.
    /// </summary>
    /// <exception cref="RunException">Ranks cannot reach rank 0.</exception>
    public static Heartbeat Start(MpiWorld world, HeartbeatOptions? options = null)
    {
        var me = new RankName(world.Rank, world.HostName, Environment.ProcessId);
        Heartbeat heartbeat;
        if (world.Rank == 0)
        {
            heartbeat = Listen(me, world.Size, options, Environment.GetEnvironmentVariable(HeartbeatInvitation.AddressVariable));
            HeartbeatInvitation.Broadcast(world, heartbeat._invitation);
            heartbeat.AwaitAll();
        }
        else
        {
            heartbeat = Join(HeartbeatInvitation.Broadcast(world, null), me, options);
        }

        world.WhileWaiting = heartbeat.ThrowIfLost;
        return heartbeat;
    }

    /// <summary>Rank 0's side, open for the others from now on.</summary>
    /// <param name="me">Rank 0.</param>
    /// <param name="size">All ranks.</param>
    /// <param name="options">Waiting times.</param>
    /// <param name="address">Where the others are to connect; null or empty for this machine's own addresses and any port.</param>
    internal static Heartbeat Listen(RankName me, int size, HeartbeatOptions? options, string? address = null)
    {
        (string host, int port) = string.IsNullOrEmpty(address) ? (string.Empty, 0) : HeartbeatInvitation.ParseAddress(address);
        Socket listener = Bind(port);
        int bound = ((IPEndPoint)listener.LocalEndPoint!).Port;
        var invitation = HeartbeatInvitation.Create(me, host.Length > 0 ? [host] : HeartbeatInvitation.OwnAddresses(), bound);
        var heartbeat = new Heartbeat(me, invitation, size, listener, options ?? new HeartbeatOptions());
        Background("heartbeat accept", heartbeat.Accept);
        Background("heartbeat watch", heartbeat.Watch);
        return heartbeat;
    }

    /// <summary>Another rank's side, connected.</summary>
    internal static Heartbeat Join(HeartbeatInvitation invitation, RankName me, HeartbeatOptions? options)
    {
        var heartbeat = new Heartbeat(me, invitation, 1, null, options ?? new HeartbeatOptions());
        HeartbeatConnection connection = heartbeat.Connect();
        connection.Peer = invitation.Name;
        heartbeat._connections[0] = connection;
        Background("heartbeat read", () => heartbeat.Read(connection));
        Background("heartbeat watch", heartbeat.Watch);
        return heartbeat;
    }

    /// <summary>On rank 0: returns when all ranks have joined.</summary>
    internal void AwaitAll()
    {
        long deadline = Environment.TickCount64 + (long)_options.Connect.TotalMilliseconds;
        while (Missing() is { Count: > 0 } missing)
        {
            ThrowIfLost();
            if (Environment.TickCount64 > deadline)
            {
                Fail("not all ranks have connected to it");
                throw new RunException(
                    $"Rank {string.Join(", ", missing)} did not connect to rank 0 within {Seconds(_options.Connect)} (port " +
                        $"{_invitation.Port} of {string.Join(", ", _invitation.Addresses)}).",
                    $"Set {HeartbeatInvitation.AddressVariable} on rank 0 to an address, or address:port, that the other machines reach.");
            }

            Thread.Sleep(5);
        }
    }

    /// <exception cref="RankLostException">A rank was lost.</exception>
    public void ThrowIfLost()
    {
        if (LostReason is { } reason)
        {
            throw new RankLostException(reason);
        }
    }

    /// <summary>Tells the others that this rank ends because of an error; does nothing when a rank was lost before.</summary>
    /// <param name="reason">What happened, for the others' messages.</param>
    public void Fail(string reason) => Leave(HeartbeatFrame.Failed, reason);

    /// <summary>Takes leave: this rank has done its work, and nobody waits for it any more.</summary>
    public void Finish() => Leave(HeartbeatFrame.Finished, string.Empty);

    /// <summary>
    /// Ends the connections; without <see cref="Finish"/> or <see cref="Fail"/> before it, the others hear that this rank failed.
    /// </summary>
    public void Dispose()
    {
        Fail("it left before the work was done");
        _ending.Set();
        _listener?.Dispose();
        foreach (HeartbeatConnection? connection in _connections)
        {
            connection?.Dispose();
        }
    }

    private static Socket Bind(int port)
    {
        bool six = Socket.OSSupportsIPv6;
        var listener = new Socket(six ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (six)
            {
                listener.DualMode = true;
            }

            listener.Bind(new IPEndPoint(six ? IPAddress.IPv6Any : IPAddress.Any, port));
            listener.Listen();
            return listener;
        }
        catch (SocketException exception)
        {
            listener.Dispose();
            throw new RunException($"Rank 0 cannot listen on port {port}: {exception.Message}",
                $"Choose another port in {HeartbeatInvitation.AddressVariable}.", exception);
        }
    }

    private static void Background(string name, Action run) => new Thread(() => run()) { IsBackground = true, Name = name }.Start();

    private static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.#} s");

    private List<int> Missing()
    {
        lock (_ends)
        {
            return [.. Enumerable.Range(1, _connections.Length - 1).Where(rank => _connections[rank] is null)];
        }
    }

    /// <summary>Takes connections until all ranks have joined.</summary>
    private void Accept()
    {
        try
        {
            while (!_ending.IsSet && Missing().Count > 0)
            {
                // A stranger who says nothing must not hold up the others.
                Socket socket = _listener!.Accept();
                Background("heartbeat read", () => Greet(socket));
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Disposed; or the system refuses further connections, which AwaitAll reports as ranks that are missing.
        }
    }

    private void Greet(Socket socket)
    {
        socket.ReceiveTimeout = socket.SendTimeout = (int)_options.Attempt.TotalMilliseconds;
        var connection = new HeartbeatConnection(socket);
        if (!connection.TryReceive(out HeartbeatFrame frame, out ReadOnlySpan<byte> payload) || frame != HeartbeatFrame.Hello
            || !_invitation.TryReadHello(payload, out RankName name) || !Admit(name, connection))
        {
            connection.Dispose();
            return;
        }

        // Once the last rank is here, nobody else need be listened to.
        if (Missing().Count == 0)
        {
            _listener!.Dispose();
        }

        Read(connection);
    }

    private bool Admit(RankName name, HeartbeatConnection connection)
    {
        lock (_ends)
        {
            if (_hasEnded || name.Rank < 1 || name.Rank >= _connections.Length || _connections[name.Rank] is not null)
            {
                return false;
            }

            connection.Peer = name;
            connection.WaitLong();
            connection.Send(HeartbeatFrame.Welcome, _invitation.WelcomeToken);
            if (_lostReason is { } reason)
            {
                connection.Send(HeartbeatFrame.Lost, reason);
            }

            _connections[name.Rank] = connection;
            return true;
        }
    }

    private HeartbeatConnection Connect()
    {
        long deadline = Environment.TickCount64 + (long)_options.Connect.TotalMilliseconds;
        var problems = new Dictionary<string, string>();
        do
        {
            foreach (string address in _invitation.Addresses)
            {
                (HeartbeatConnection? connection, string problem) = TryConnect(address);
                if (connection is not null)
                {
                    return connection;
                }

                problems[address] = problem;
            }

            Thread.Sleep(100);
        }
        while (Environment.TickCount64 < deadline);
        throw new RunException(
            $"{_me} cannot reach rank 0 on port {_invitation.Port}: {string.Join("; ", problems.Select(pair => $"{pair.Key}: {pair.Value}"))}.",
            $"Set {HeartbeatInvitation.AddressVariable} on rank 0 to an address, or address:port, that this machine reaches.");
    }

    private (HeartbeatConnection? Connection, string Problem) TryConnect(string address)
    {
        Socket? socket = null;
        HeartbeatConnection? connection = null;
        try
        {
            socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            using (var limit = new CancellationTokenSource(_options.Attempt))
            {
                socket.ConnectAsync(address, _invitation.Port, limit.Token).AsTask().GetAwaiter().GetResult();
            }

            socket.ReceiveTimeout = socket.SendTimeout = (int)_options.Attempt.TotalMilliseconds;
            connection = new HeartbeatConnection(socket);
            connection.Send(HeartbeatFrame.Hello, _invitation.WriteHello(_me));
            if (connection.TryReceive(out HeartbeatFrame frame,
                out ReadOnlySpan<byte> payload) && frame == HeartbeatFrame.Welcome && payload.SequenceEqual(_invitation.WelcomeToken))
            {
                connection.WaitLong();
                return (connection, string.Empty);
            }

            connection.Dispose();
            return (null, "what answers there is not rank 0");
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException)
        {
            connection?.Dispose();
            socket?.Dispose();
            return (null, exception is SocketException ? exception.Message : $"no answer within {Seconds(_options.Attempt)}");
        }
    }

    /// <summary>One thread for each connection, which ends with it.</summary>
    private void Read(HeartbeatConnection connection)
    {
        while (connection.TryReceive(out HeartbeatFrame frame, out ReadOnlySpan<byte> payload))
        {
            switch (frame)
            {
                case HeartbeatFrame.Finished:
                    connection.HasLeft = true;
                    break;
                case HeartbeatFrame.Failed:
                    Lose($"{connection.Peer} failed: {Encoding.UTF8.GetString(payload)}");
                    break;
                case HeartbeatFrame.Lost:
                    Lose(Encoding.UTF8.GetString(payload));
                    break;
                default:
                    break;
            }
        }

        if (!connection.HasLeft)
        {
            Lose($"{connection.Peer} was lost: its connection closed");
        }
    }

    /// <summary>Sends signs of life and looks for those of the others.</summary>
    private void Watch()
    {
        double pause = Math.Min(_options.Heartbeat.TotalMilliseconds, _options.Silence.TotalMilliseconds / 4);
        long last = Environment.TickCount64;
        while (!_ending.Wait((int)pause))
        {
            // A process that was stopped for a while has not listened either; what the others said meanwhile is still to be read.
            long now = Environment.TickCount64;
            bool listened = now - last < _options.Silence.TotalMilliseconds / 2;
            last = now;
            for (int i = 0; i < _connections.Length; i++)
            {
                if (Volatile.Read(ref _connections[i]) is not { HasLeft: false } connection)
                {
                    continue;
                }

                connection.Send(HeartbeatFrame.Heartbeat);
                if (!listened)
                {
                    connection.Forgive();
                }
                else if (connection.Silence > _options.Silence)
                {
                    Lose($"{connection.Peer} has not answered for {Seconds(_options.Silence)}");
                }
            }
        }
    }

    private void Lose(string reason)
    {
        lock (_ends)
        {
            if (_hasEnded || _lostReason is not null)
            {
                return;
            }

            // First the others: this process may end as soon as it knows.
            if (_listener is not null)
            {
                Tell(HeartbeatFrame.Lost, reason);
            }

            Volatile.Write(ref _lostReason, reason);
        }

        _lost.Cancel();
    }

    private void Leave(HeartbeatFrame frame, string reason)
    {
        lock (_ends)
        {
            if (!_hasEnded && _lostReason is null)
            {
                Tell(frame, reason);
            }

            _hasEnded = true;
        }
    }

    private void Tell(HeartbeatFrame frame, string text)
    {
        foreach (HeartbeatConnection? connection in _connections)
        {
            connection?.Send(frame, text);
        }
    }
}
