using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using CudaTrainer.Live.Events;
using MQTTnet.Protocol;
using MQTTnet.Server;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>Events at a broker in this process.</summary>
public sealed class MqttTests : IDisposable
{
    private static readonly NoticeLimits Quick = new(TimeSpan.FromSeconds(20), TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(20),
        4, TimeSpan.FromMinutes(5), 256);

    private readonly TemporaryFolder _folder = new();
    private readonly NewsLog _log = new();
    private readonly int _port = FreePort();
    private Broker? _broker;

    [Fact]
    public void Events_are_published_and_the_alarm_of_a_camera_is_retained()
    {
        _broker = new Broker(_port, "me", "s3cret");
        EventOptions options = new()
        {
            Mqtt = $"mqtt://me@127.0.0.1:{_port}/home/cameras",
            MqttPasswordFile = _folder.File("password", "s3cret\n"),
            Cooldown = 0,
        };
        using (LiveEvents events = Staged.Events(options, _log, Quick))
        {
            Array.ForEach(Staged.Answers(0.9, 0.9, 0.1), answer => events.Add(Staged.Session(null), answer));
            NewsLog.WaitUntil(() => _broker.Published.Count == 5, () => string.Join('\n', _broker.Published));
            _broker.Retained().ShouldBe(["home/cameras/gate/alarm: off", "home/cameras/status: online"]);
            events.Stop(Staged.Patience);
        }

        EventBegan began = _log.Of<EventBegan>().Single();
        EventEnded ended = _log.Of<EventEnded>().Single();
        _broker.Published.ShouldBe(
        [
            "home/cameras/status: online",
            $"home/cameras/gate/event: {Encoding.UTF8.GetString(EventJson.Bytes(began))}",
            "home/cameras/gate/alarm: on",
            $"home/cameras/gate/event: {Encoding.UTF8.GetString(EventJson.Bytes(ended))}",
            "home/cameras/gate/alarm: off",
            "home/cameras/status: offline",
        ]);
        _broker.Retained().ShouldBe(["home/cameras/gate/alarm: off", "home/cameras/status: offline"]);
        _log.Of<NoticeTrouble>().ShouldBeEmpty();
    }

    [Fact]
    public void A_broker_that_comes_later_gets_what_happened_before()
    {
        using LiveEvents events = Staged.Events(new EventOptions { Mqtt = $"mqtt://127.0.0.1:{_port}" }, _log,
            Quick with { Attempts = int.MaxValue, LongestPause = TimeSpan.FromMilliseconds(50) });
        events.Add(Staged.Session(null, "door/+1"), Staged.Answer(0, 0.9, "door/+1"));
        _broker = new Broker(_port);

        NewsLog.WaitUntil(() => _broker.Published.Count == 3);
        _broker.Published.Last().ShouldBe($"cudatrainer/{EventName.Safe("door/+1")}/alarm: on");

        // It goes and comes back.
        _broker.Dispose();
        _broker = new Broker(_port);
        events.SessionEnded(Staged.Session(null, "door/+1"));
        NewsLog.WaitUntil(() => _broker.Published.Any(message => message.EndsWith("/alarm: off", StringComparison.Ordinal)));
        _log.Of<NoticeTrouble>().ShouldBeEmpty();
    }

    [Fact]
    public void A_broker_that_refuses_is_told()
    {
        _broker = new Broker(_port, "me", "another");
        using LiveEvents events = Staged.Events(new EventOptions { Mqtt = $"mqtt://me@127.0.0.1:{_port}" }, _log, Quick);
        events.Add(Staged.Session(null), Staged.Answer(0, 0.9));

        NoticeTrouble trouble = _log.Wait<NoticeTrouble>();
        trouble.Reason.ShouldContain("BadUserNameOrPassword");
        trouble.Target.ShouldBe($"mqtt://127.0.0.1:{_port}");
    }

    public void Dispose()
    {
        _broker?.Dispose();
        _folder.Dispose();
    }

    private static int FreePort()
    {
        TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        return port;
    }

    private sealed class Broker : IDisposable
    {
        private readonly MqttServer _server;

        public Broker(int port, string? user = null, string? password = null)
        {
            MqttServerFactory factory = new();
            _server = factory.CreateMqttServer(factory.CreateServerOptionsBuilder().WithDefaultEndpoint()
                .WithDefaultEndpointBoundIPAddress(IPAddress.Loopback).WithDefaultEndpointPort(port).Build());
            _server.ValidatingConnectionAsync += connection =>
            {
                if (user is not null && (connection.UserName != user || connection.Password != password))
                {
                    connection.ReasonCode = MqttConnectReasonCode.BadUserNameOrPassword;
                }

                return Task.CompletedTask;
            };
            _server.InterceptingPublishAsync += message =>
            {
                Published.Enqueue(Text(message.ApplicationMessage));
                return Task.CompletedTask;
            };
            _server.StartAsync().Wait();
        }

        public ConcurrentQueue<string> Published { get; } = new();

        public string[] Retained() => [.. _server.GetRetainedMessagesAsync().Result.Select(Text).Order(StringComparer.Ordinal)];

        public void Dispose()
        {
            _server.StopAsync().Wait();
            _server.Dispose();
        }

        private static string Text(MQTTnet.MqttApplicationMessage message) =>
            $"{message.Topic}: {Encoding.UTF8.GetString(message.Payload.ToArray())}";
    }
}
