using CudaTrainer.Live.Cameras;
using MQTTnet;
using MQTTnet.Exceptions;
using MQTTnet.Protocol;

namespace CudaTrainer.Live.Events;

/// <summary>A broker of MQTT, and what topics begin with.</summary>
internal sealed class MqttAddress
{
    private const string DefaultTopic = "cudatrainer";

    public MqttAddress(string text)
    {
        Uri whole = new(text);
        Shown = CameraAddress.Shown(text);
        IsEncrypted = whole.Scheme == "mqtts";
        Host = whole.IdnHost.Trim('[', ']');
        Port = whole.Port > 0 ? whole.Port : IsEncrypted ? 8883 : 1883;
        User = whole.UserInfo.Length == 0 ? null : Uri.UnescapeDataString(whole.UserInfo);
        string path = Uri.UnescapeDataString(whole.AbsolutePath).Trim('/');
        Topic = path.Length > 0 ? path : DefaultTopic;
    }

    /// <summary>Without credentials.</summary>
    public string Shown { get; }

    public bool IsEncrypted { get; }

    public string Host { get; }

    public int Port { get; }

    /// <summary>Name; null for none.</summary>
    public string? User { get; }

    /// <summary>Without a slash at its ends.</summary>
    public string Topic { get; }

    /// <summary>What is wrong with an address; null if nothing is.</summary>
    public static string? Problem(string text)
    {
        string shown = CameraAddress.Shown(text);
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? address) || address.Scheme is not ("mqtt" or "mqtts")
            || address.Host.Length == 0)
        {
            return $"'{shown}' is no address that begins with mqtt:// or mqtts:// and names a host";
        }

        if (address.UserInfo.Contains(':'))
        {
            return $"'{shown}' holds a password, which everybody on this machine can read; put it into a file";
        }

        return address.Query.Length > 0 || address.Fragment.Length > 0 || new MqttAddress(text).Topic.AsSpan().ContainsAny('+', '#', '\0')
            ? $"'{shown}': a topic has no +, # or ?"
            : null;
    }
}

/// <summary>
/// Publishes events: each at TOPIC/CAMERA/event, whether there is one at TOPIC/CAMERA/alarm (on, off; retained), and whether this program
/// is there at TOPIC/status (online, offline; retained, the latter by the broker where the connection breaks).
/// </summary>
/// <param name="limit">Of one attempt.</param>
internal sealed class MqttPublisher(MqttAddress address, string? password, TimeSpan limit) : INoticeTarget
{
    private readonly IMqttClient _client = new MqttClientFactory().CreateMqttClient();

    public string Name => address.Shown;

    private string Status => $"{address.Topic}/status";

    private MqttClientOptions Options
    {
        get
        {
            MqttClientOptionsBuilder options = new MqttClientOptionsBuilder()
                .WithTcpServer(address.Host, address.Port)
                .WithTimeout(limit)
                .WithKeepAlivePeriod(TimeSpan.FromSeconds(30))
                .WithTlsOptions(tls => tls.UseTls(address.IsEncrypted).WithTargetHost(address.Host))
                .WithWillTopic(Status).WithWillPayload("offline").WithWillRetain()
                .WithWillQualityOfServiceLevel(MqttQualityOfServiceLevel.AtLeastOnce);
            if (address.User is not null)
            {
                options.WithCredentials(address.User, password);
            }

            return options.Build();
        }
    }

    public async Task<NoticeFailure?> SendAsync(EventNews news, CancellationToken stop)
    {
        string topic = $"{address.Topic}/{EventName.Safe(news.Camera)}";
        return await TryAsync(async token =>
        {
            await PublishAsync($"{topic}/event", EventJson.Bytes(news), isRetained: false, token);
            await PublishAsync($"{topic}/alarm", news is EventBegan ? "on"u8.ToArray() : "off"u8.ToArray(), isRetained: true, token);
        }, stop);
    }

    public async Task TendAsync(CancellationToken stop)
    {
        if (!_client.IsConnected)
        {
            await TryAsync(_ => Task.CompletedTask, stop);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_client.IsConnected)
        {
            using CancellationTokenSource end = new(limit);
            await TryAsync(async token =>
            {
                await PublishAsync(Status, "offline"u8.ToArray(), isRetained: true, token);
                await _client.DisconnectAsync(new MqttClientDisconnectOptions(), token);
            }, end.Token);
        }

        _client.Dispose();
    }

    /// <summary>Connects where there is no connection, and works.</summary>
    private async Task<NoticeFailure?> TryAsync(Func<CancellationToken, Task> work, CancellationToken stop)
    {
        using CancellationTokenSource timed = CancellationTokenSource.CreateLinkedTokenSource(stop);
        timed.CancelAfter(limit);
        try
        {
            if (!_client.IsConnected)
            {
                MqttClientConnectResult answer = await _client.ConnectAsync(Options, timed.Token);
                if (answer.ResultCode != MqttClientConnectResultCode.Success)
                {
                    return new NoticeFailure($"the broker refuses: {answer.ResultCode}", IsFinal: false);
                }

                await PublishAsync(Status, "online"u8.ToArray(), isRetained: true, timed.Token);
            }

            await work(timed.Token);
            return null;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return new NoticeFailure("the broker does not answer", IsFinal: false);
        }
        catch (Exception exception) when (exception is MqttCommunicationException or MqttProtocolViolationException
            or InvalidOperationException)
        {
            return new NoticeFailure(CameraAddress.Redact(exception.InnerException?.Message ?? exception.Message), IsFinal: false);
        }
    }

    private Task PublishAsync(string topic, byte[] payload, bool isRetained, CancellationToken stop) => _client.PublishAsync(
        new MqttApplicationMessageBuilder().WithTopic(topic).WithPayload(payload).WithRetainFlag(isRetained)
            .WithQualityOfServiceLevel(MqttQualityOfServiceLevel.AtLeastOnce).Build(), stop);
}
