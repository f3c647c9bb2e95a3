using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Live.Events;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>Events to a server on this machine that answers as the test says, or not at all.</summary>
public sealed class WebhookTests : IDisposable
{
    private static readonly NoticeLimits Quick = new(TimeSpan.FromSeconds(20), TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(20),
        4, TimeSpan.FromMinutes(5), 256);

    private readonly TemporaryFolder _folder = new();
    private readonly NewsLog _log = new();
    private readonly Listener _listener = new();

    [Fact]
    public void Beginning_and_end_are_posted_in_order_with_a_signature()
    {
        EventOptions options = new()
        {
            Webhook = _listener.Url("/hook?x=1"),
            WebhookSecretFile = _folder.File("secret", "s3cret\n"),
            Cooldown = 0,
        };
        using (LiveEvents events = Staged.Events(options, _log, Quick))
        {
            Add(events, 0.1, 0.9, 0.9, 0.1);
            events.Stop(Staged.Patience);
        }

        Request[] requests = [.. _listener.Requests];
        requests.Select(request => request.Line).ShouldBe(["POST /hook?x=1 HTTP/1.1", "POST /hook?x=1 HTTP/1.1"]);
        EventEnded ended = _log.Of<EventEnded>().Single();
        requests.Select(request => request.Headers["X-CudaTrainer-Delivery"]).ShouldBe([$"{ended.Id}-began", $"{ended.Id}-ended"]);
        requests[1].Body.ShouldBe(Encoding.UTF8.GetString(EventJson.Bytes(ended)));
        foreach (Request request in requests)
        {
            request.Headers["Content-Type"].ShouldBe("application/json");
            string signed = $"{request.Headers["X-CudaTrainer-Timestamp"]}.{request.Body}";
            request.Headers["X-CudaTrainer-Signature"].ShouldBe("sha256=" + Convert.ToHexStringLower(
                HMACSHA256.HashData("s3cret"u8, Encoding.UTF8.GetBytes(signed))));
        }

        _log.Of<NoticeTrouble>().ShouldBeEmpty();
    }

    /// <summary>The example of the document: openssl dgst -sha256 -hmac s3cret gives the same.</summary>
    [Fact]
    public void A_signature_is_what_others_compute() =>
        Webhook.Sign("s3cret", "1783952701", "{\"event\":\"began\"}"u8.ToArray())
            .ShouldBe("sha256=00abda389788eb322c9eaf773073025ddb51d0ea61e176075b742463e5996381");

    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    [InlineData(429)]
    public void An_answer_that_may_pass_is_tried_again(int status)
    {
        _listener.Answer = request => request < 2 ? status : 204;
        using LiveEvents events = Staged.Events(new EventOptions { Webhook = _listener.Url("/") }, _log, Quick);
        Add(events, 0.9);
        NewsLog.WaitUntil(() => _listener.Requests.Count == 3);
        events.Stop(Staged.Patience);

        _listener.Requests.Take(3).Select(request => request.Headers["X-CudaTrainer-Delivery"]).Distinct().Count().ShouldBe(1);
        _listener.Requests.Count.ShouldBe(4, "the beginning three times, then the end");
        _listener.Requests.ShouldAllBe(request => !request.Headers.ContainsKey("X-CudaTrainer-Signature"));
        _log.Of<NoticeTrouble>().ShouldBeEmpty();
    }

    [Theory]
    [InlineData(500, 4)]
    [InlineData(404, 1)] // Trying again would not help.
    [InlineData(302, 1)] // Redirections are not followed.
    public void What_goes_on_failing_is_given_up_and_told_without_credentials(int status, int attempts)
    {
        _listener.Answer = _ => status;
        string address = _listener.Url("/hook?token=hunter2").Replace("://", "://me:hunter2@");
        using LiveEvents events = Staged.Events(new EventOptions { Webhook = address }, _log, Quick);
        Add(events, 0.9);

        NoticeTrouble trouble = _log.Wait<NoticeTrouble>();

        trouble.Reason.ShouldContain($"it answered {status}");
        trouble.Reason.ShouldContain(_log.Of<EventBegan>().Single().Id);
        trouble.ToString().ShouldNotContain("hunter2");
        _listener.Requests.Count.ShouldBe(attempts);
        _listener.Requests.First().Headers["Authorization"].ShouldBe("Basic " + Convert.ToBase64String("me:hunter2"u8));
    }

    [Fact]
    public void A_server_that_hangs_delays_nobody()
    {
        _listener.Answer = _ => null;
        using Listener sound = new();
        EventOptions options = new() { Webhooks = [_listener.Url("/"), sound.Url("/")], Cooldown = 0 };
        using LiveEvents events = Staged.Events(options, _log, Quick with { Waiting = 3, Attempt = TimeSpan.FromMinutes(10) });

        // Many more events than may wait, while the first request hangs.
        int next = 0;
        NewsLog.WaitUntil(() =>
        {
            events.Add(Staged.Session(null), Staged.Answer(next++, 0.9));
            events.Add(Staged.Session(null), Staged.Answer(next++, 0.1));
            return sound.Requests.Count > 20;
        });

        _listener.Requests.Count.ShouldBe(1);
        _log.Of<NoticeTrouble>().ShouldNotBeEmpty();
        _log.Of<NoticeTrouble>().ShouldAllBe(trouble => trouble.Target == _listener.Url("/") || trouble.Target == sound.Url("/"));
        _log.Of<NoticeTrouble>().ShouldContain(trouble => trouble.Reason.Contains("too many wait"));
        events.Stop(TimeSpan.Zero);
        _log.Of<NoticeTrouble>().ShouldContain(trouble => trouble.Reason.Contains("the program had to end"));
    }

    [Fact]
    public void A_server_that_does_not_answer_in_time_is_given_up()
    {
        _listener.Answer = _ => null;
        using LiveEvents events = Staged.Events(new EventOptions { Webhook = _listener.Url("/") }, _log,
            Quick with { Attempt = TimeSpan.FromSeconds(2), Attempts = 2 });
        Add(events, 0.9);

        _log.Wait<NoticeTrouble>().Reason.ShouldContain("no answer within 2 s");
        _listener.Requests.Count.ShouldBe(2);
    }

    [Fact]
    public void What_is_too_old_is_not_sent()
    {
        using LiveEvents events = Staged.Events(new EventOptions { Webhook = _listener.Url("/") }, _log,
            Quick with { Oldest = TimeSpan.Zero });
        Add(events, 0.9);

        _log.Wait<NoticeTrouble>().Reason.ShouldContain("too late");
        _listener.Requests.ShouldBeEmpty();
    }

    [Fact]
    public void Nobody_who_listens_is_a_reason_that_is_told()
    {
        string address = _listener.Url("/");
        _listener.Dispose();
        using LiveEvents events = Staged.Events(new EventOptions { Webhook = address }, _log, Quick with { Attempts = 1 });
        Add(events, 0.9);

        _log.Wait<NoticeTrouble>().Reason.ShouldContain("refused");
    }

    public void Dispose()
    {
        _listener.Dispose();
        _folder.Dispose();
    }

    private static void Add(LiveEvents events, params double[] scores) =>
        Array.ForEach(Staged.Answers(scores), answer => events.Add(Staged.Session(null), answer));

    internal sealed record Request(string Line, Dictionary<string, string> Headers, string Body);

    /// <summary>As little of a web server as a webhook needs.</summary>
    internal sealed class Listener : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly CancellationTokenSource _end = new();

        public Listener()
        {
            _listener.Start();
            Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
            _ = Task.Run(AcceptAsync);
        }

        public int Port { get; }

        public ConcurrentQueue<Request> Requests { get; } = new();

        /// <summary>The status for a request, by its number from 0; null hangs.</summary>
        public Func<int, int?> Answer { get; set; } = _ => 200;

        public string Url(string path) => $"http://127.0.0.1:{Port}{path}";

        public void Dispose()
        {
            _end.Cancel();
            _listener.Stop();
        }

        private async Task AcceptAsync()
        {
            while (!_end.IsCancellationRequested)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync(_end.Token);
                _ = Task.Run(() => ServeAsync(client));
            }
        }

        private async Task ServeAsync(TcpClient client)
        {
            using (client)
            using (StreamReader reader = new(client.GetStream(), Encoding.Latin1))
            {
                while (await reader.ReadLineAsync(_end.Token) is { Length: > 0 } line)
                {
                    Dictionary<string, string> headers = new(StringComparer.OrdinalIgnoreCase);
                    while (await reader.ReadLineAsync(_end.Token) is { Length: > 0 } header)
                    {
                        headers[header[..header.IndexOf(':')]] = header[(header.IndexOf(':') + 1)..].Trim();
                    }

                    char[] body = new char[int.Parse(headers["Content-Length"])];
                    await reader.ReadBlockAsync(body, _end.Token);
                    int? status;
                    lock (Requests)
                    {
                        status = Answer(Requests.Count);
                        Requests.Enqueue(new Request(line, headers, Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(body))));
                    }

                    if (status is null)
                    {
                        await Task.Delay(Timeout.Infinite, _end.Token);
                    }

                    string answer = $"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nLocation: {Url("/elsewhere")}\r\n\r\n";
                    await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(answer), _end.Token);
                }
            }
        }
    }
}
