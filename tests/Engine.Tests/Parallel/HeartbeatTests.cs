using System.Net;
using System.Net.Sockets;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Parallel;

/// <summary>Several ranks in one process, some of them heartbeats, some bare connections that misbehave.</summary>
public sealed class HeartbeatTests
{
    /// <summary>Only ends a test that would hang.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    /// <summary>Nobody is too silent within a test.</summary>
    private static readonly HeartbeatOptions Patient = new() { Silence = Limit };

    [Fact]
    public void Ranks_that_finish_are_not_missed()
    {
        Heartbeat[] ranks = Run(3);
        foreach (Heartbeat rank in ranks)
        {
            rank.Finish();
        }

        // Rank 0 last: it would hear of the others.
        ranks[2].Dispose();
        ranks[1].Dispose();
        Thread.Sleep(100);
        ranks[0].Dispose();
        ranks.ShouldAllBe(rank => rank.LostReason == null);
    }

    [Fact]
    public void Others_may_finish_before_rank_0()
    {
        using var hub = Heartbeat.Listen(Name(0), 3, Patient);
        using var first = Heartbeat.Join(hub.Invitation, Name(1), Patient);
        using HeartbeatConnection second = Connect(hub, 2, out _);
        hub.AwaitAll();
        first.Finish();
        first.Dispose();
        second.Send(HeartbeatFrame.Failed, "out of paper");

        // What came of rank 1 before did not count as a loss.
        AwaitLoss(hub).ShouldBe("rank 2 (host fake2, pid 1002) failed: out of paper");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_connection_that_closes_is_reported_to_all(int lost)
    {
        using var hub = Heartbeat.Listen(Name(0), 4, Patient);
        using HeartbeatConnection dead = Connect(hub, lost, out _);
        Heartbeat[] others = [.. Enumerable.Range(1, 3).Where(rank => rank != lost)
            .Select(rank => Heartbeat.Join(hub.Invitation, Name(rank), Patient))];
        hub.AwaitAll();
        dead.Dispose();
        string expected = $"rank {lost} (host fake{lost}, pid {1_000 + lost}) was lost: its connection closed";
        AwaitLoss(hub).ShouldBe(expected);
        foreach (Heartbeat other in others)
        {
            AwaitLoss(other).ShouldBe(expected);
            Should.Throw<RankLostException>(other.ThrowIfLost).Message.ShouldBe(expected);
            other.Dispose();
        }
    }

    [Fact]
    public async Task The_death_of_rank_0_is_noticed_by_each()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var invitation = HeartbeatInvitation.Create(Name(0), ["127.0.0.1"], ((IPEndPoint)listener.LocalEndPoint!).Port);
        Task<HeartbeatConnection> accepted = Task.Run(() => Welcome(listener, invitation));
        using var rank = Heartbeat.Join(invitation, Name(1), Patient);
        (await accepted).Dispose();
        AwaitLoss(rank).ShouldBe("rank 0 (host fake0, pid 1000) was lost: its connection closed");
    }

    [Fact]
    public void Reasons_travel_from_and_to_every_rank()
    {
        foreach (int failing in new[] { 0, 1, 2 })
        {
            Heartbeat[] ranks = Run(3);
            ranks[failing].Fail("no space left – 0 bytes free");
            foreach (Heartbeat other in ranks.Where(rank => rank != ranks[failing]))
            {
                AwaitLoss(other).ShouldBe(
                    $"rank {failing} (host fake{failing}, pid {1_000 + failing}) failed: no space left – 0 bytes free");
            }

            // It is no news to the one that failed.
            ranks[failing].LostReason.ShouldBeNull();
            Dispose(ranks);
        }
    }

    [Fact]
    public void Leaving_without_a_word_is_a_failure()
    {
        Heartbeat[] ranks = Run(3);
        ranks[1].Dispose();
        AwaitLoss(ranks[0]).ShouldBe("rank 1 (host fake1, pid 1001) failed: it left before the work was done");
        AwaitLoss(ranks[2]).ShouldBe(ranks[0].LostReason);
        Dispose(ranks);
    }

    [Fact]
    public void The_first_loss_counts()
    {
        Heartbeat[] ranks = Run(3);
        ranks[1].Fail("first");
        AwaitLoss(ranks[2]);
        ranks[2].Fail("second");
        ranks[2].Dispose();
        ranks[1].Dispose();
        AwaitLoss(ranks[0]).ShouldBe("rank 1 (host fake1, pid 1001) failed: first");
        Thread.Sleep(50);
        ranks[0].LostReason!.ShouldEndWith("failed: first");
        Dispose(ranks);
    }

    [Fact]
    public void Silence_is_a_loss_and_signs_of_life_prevent_it()
    {
        var hasty = new HeartbeatOptions { Heartbeat = TimeSpan.FromMilliseconds(50), Silence = TimeSpan.FromSeconds(3) };
        using var hub = Heartbeat.Listen(Name(0), 3, hasty);
        using var lively = Heartbeat.Join(hub.Invitation, Name(1), hasty);
        using HeartbeatConnection silent = Connect(hub, 2, out _);
        hub.AwaitAll();
        string reason = AwaitLoss(hub);
        reason.ShouldBe("rank 2 (host fake2, pid 1002) has not answered for 3 s");
        AwaitLoss(lively).ShouldBe(reason);
    }

    [Fact]
    public async Task A_rank_0_that_falls_silent_is_a_loss()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var invitation = HeartbeatInvitation.Create(Name(0), ["127.0.0.1"], ((IPEndPoint)listener.LocalEndPoint!).Port);
        Task<HeartbeatConnection> accepted = Task.Run(() => Welcome(listener, invitation));
        using var rank = Heartbeat.Join(invitation, Name(1),
            new() { Heartbeat = TimeSpan.FromMilliseconds(50), Silence = TimeSpan.FromSeconds(1.5) });
        AwaitLoss(rank).ShouldBe("rank 0 (host fake0, pid 1000) has not answered for 1.5 s");
        (await accepted).Dispose();
    }

    [Fact]
    public void Strangers_are_ignored()
    {
        using var hub = Heartbeat.Listen(Name(0), 2, Patient);
        HeartbeatInvitation wrong = hub.Invitation with { Token = new byte[hub.Invitation.Token.Length] };
        Socket[] strangers = [Raw(hub), Raw(hub), Raw(hub), Raw(hub)];

        // One says nothing, one something else, one has no token, one leaves at once.
        strangers[1].Send("GET / HTTP/1.1\r\n\r\n"u8);
        using var liar = new HeartbeatConnection(strangers[2]);
        liar.Send(HeartbeatFrame.Hello, wrong.WriteHello(Name(1)));
        liar.TryReceive(out _, out _).ShouldBeFalse();
        strangers[3].Dispose();

        using var rank = Heartbeat.Join(hub.Invitation, Name(1), Patient);
        hub.AwaitAll();
        hub.LostReason.ShouldBeNull();
        rank.LostReason.ShouldBeNull();
        foreach (Socket stranger in strangers)
        {
            stranger.Dispose();
        }

        rank.Fail("heard");
        AwaitLoss(hub).ShouldEndWith("failed: heard");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(-1)]
    [InlineData(1)]
    public void A_rank_that_cannot_be_is_refused(int claimed)
    {
        using var hub = Heartbeat.Listen(Name(0), 3, Patient);
        using HeartbeatConnection first = Connect(hub, 1, out bool welcome);
        welcome.ShouldBeTrue();
        using HeartbeatConnection second = Connect(hub, claimed, out welcome);
        welcome.ShouldBeFalse();
    }

    [Fact]
    public void What_answers_without_the_token_is_not_rank_0()
    {
        using var other = Heartbeat.Listen(Name(0), 2, Patient);
        using var hub = Heartbeat.Listen(Name(0), 2, Patient);
        HeartbeatInvitation wrong = hub.Invitation with { Port = other.Invitation.Port, Addresses = ["127.0.0.1"] };
        RunException exception = Should.Throw<RunException>(
            () => Heartbeat.Join(wrong, Name(1), Patient with { Connect = TimeSpan.FromMilliseconds(1) }));
        exception.Message.ShouldContain($"port {wrong.Port}");
        exception.Message.ShouldContain("127.0.0.1: what answers there is not rank 0");
        exception.Hint!.ShouldContain(HeartbeatInvitation.AddressVariable);
    }

    [Fact]
    public void Addresses_are_tried_in_turn()
    {
        using var hub = Heartbeat.Listen(Name(0), 2, Patient);
        HeartbeatInvitation invitation = hub.Invitation with { Addresses = ["host.invalid", "127.0.0.1"] };
        using var rank = Heartbeat.Join(invitation, Name(1), Patient);
        hub.AwaitAll();
        rank.Fail("here");
        AwaitLoss(hub).ShouldEndWith("failed: here");
    }

    [Fact]
    public void Ranks_that_do_not_come_are_named()
    {
        using var hub = Heartbeat.Listen(Name(0), 4, Patient with { Connect = TimeSpan.FromMilliseconds(200) });
        using var present = Heartbeat.Join(hub.Invitation, Name(2), Patient);
        RunException exception = Should.Throw<RunException>(hub.AwaitAll);
        exception.Message.ShouldStartWith("Rank 1, 3 did not connect to rank 0 within 0.2 s");
        exception.Message.ShouldContain($"port {hub.Invitation.Port}");
        exception.Hint!.ShouldContain(HeartbeatInvitation.AddressVariable);
        AwaitLoss(present).ShouldContain("rank 0 (host fake0, pid 1000) failed: not all ranks have connected");
    }

    [Fact]
    public void The_given_address_is_the_one_announced()
    {
        int port;
        using (var probe = Heartbeat.Listen(Name(0), 2, Patient))
        {
            port = probe.Invitation.Port;
            probe.Finish();
        }

        using var hub = Heartbeat.Listen(Name(0), 2, Patient, $"localhost:{port}");
        hub.Invitation.Addresses.ShouldBe(["localhost"]);
        hub.Invitation.Port.ShouldBe(port);
        using var rank = Heartbeat.Join(hub.Invitation, Name(1), Patient);
        hub.AwaitAll();
        rank.Fail("here");
        AwaitLoss(hub).ShouldEndWith("failed: here");
    }

    [Fact]
    public void An_invitation_survives_the_wire()
    {
        var sent = HeartbeatInvitation.Create(new RankName(0, "máquina", 77), HeartbeatInvitation.OwnAddresses(), 4_711);
        var received = HeartbeatInvitation.Decode(sent.Encode());
        received.Name.ShouldBe(sent.Name);
        received.Port.ShouldBe(4_711);
        received.Token.ShouldBe(sent.Token);
        received.Addresses.ShouldBe(sent.Addresses);
        sent.Addresses.ShouldContain("127.0.0.1");
        received.TryReadHello(sent.WriteHello(new RankName(5, "höst", 9)), out RankName name).ShouldBeTrue();
        name.ShouldBe(new RankName(5, "höst", 9));
    }

    [Theory]
    [InlineData("node7", "node7", 0)]
    [InlineData("node7:81", "node7", 81)]
    [InlineData("10.0.0.1:65535", "10.0.0.1", 65_535)]
    [InlineData("::1", "::1", 0)]
    [InlineData("[fe80::2]", "fe80::2", 0)]
    [InlineData("[fe80::2]:90", "fe80::2", 90)]
    public void Addresses_are_taken_apart(string text, string host, int port) =>
        HeartbeatInvitation.ParseAddress(text).ShouldBe((host, port));

    [Theory]
    [InlineData(":80")]
    [InlineData("node7:")]
    [InlineData("node7:0")]
    [InlineData("node7:65536")]
    [InlineData("node7:x")]
    [InlineData("[::1")]
    [InlineData("[::1]80")]
    public void What_is_no_address_is_refused(string text) =>
        Should.Throw<RunException>(() => HeartbeatInvitation.ParseAddress(text)).Message.ShouldContain(text);

    [Fact]
    public void A_reason_too_long_is_cut_at_a_letter()
    {
        Heartbeat[] ranks = Run(2);
        ranks[1].Fail(new string('ü', 10_000));
        AwaitLoss(ranks[0]).ShouldBe($"rank 1 (host fake1, pid 1001) failed: {new string('ü', HeartbeatConnection.MaxPayloadBytes / 2)}");
        Dispose(ranks);
    }

    private static RankName Name(int rank) => new(rank, $"fake{rank}", 1_000 + rank);

    private static Heartbeat[] Run(int size)
    {
        var hub = Heartbeat.Listen(Name(0), size, Patient);
        Heartbeat[] ranks = [hub, .. Enumerable.Range(1, size - 1).Select(rank => Heartbeat.Join(hub.Invitation, Name(rank), Patient))];
        hub.AwaitAll();
        return ranks;
    }

    private static void Dispose(Heartbeat[] ranks)
    {
        foreach (Heartbeat rank in ranks)
        {
            rank.Dispose();
        }
    }

    private static string AwaitLoss(Heartbeat heartbeat)
    {
        heartbeat.Lost.WaitHandle.WaitOne(Limit).ShouldBeTrue("nobody was lost");
        return heartbeat.LostReason!;
    }

    private static Socket Raw(Heartbeat hub)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Connect(IPAddress.Loopback, hub.Invitation.Port);
        return socket;
    }

    /// <summary>A rank that does what its test says, and nothing by itself.</summary>
    private static HeartbeatConnection Connect(Heartbeat hub, int rank, out bool welcome)
    {
        var connection = new HeartbeatConnection(Raw(hub));
        connection.Send(HeartbeatFrame.Hello, hub.Invitation.WriteHello(Name(rank)));
        welcome = connection.TryReceive(out HeartbeatFrame frame, out ReadOnlySpan<byte> token) && frame == HeartbeatFrame.Welcome
            && token.SequenceEqual(hub.Invitation.WelcomeToken);
        return connection;
    }

    /// <summary>A rank 0 that does nothing more.</summary>
    private static HeartbeatConnection Welcome(Socket listener, HeartbeatInvitation invitation)
    {
        var connection = new HeartbeatConnection(listener.Accept());
        connection.TryReceive(out HeartbeatFrame frame, out ReadOnlySpan<byte> hello).ShouldBeTrue();
        frame.ShouldBe(HeartbeatFrame.Hello);
        invitation.TryReadHello(hello, out RankName name).ShouldBeTrue();
        name.ShouldBe(Name(1));
        connection.Send(HeartbeatFrame.Welcome, invitation.WelcomeToken);
        return connection;
    }
}
