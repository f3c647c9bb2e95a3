using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary><c>cudatrainer serve</c> as a process of its own on a free port, with temporary files in a folder of the test's.</summary>
internal sealed class ServerProcess : IDisposable
{
    private const string Ready = "Listening on ";

    /// <summary>No test waits on purpose; this only ends one that hangs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly StringBuilder _error = new();
    private readonly HttpClient _client;

    private ServerProcess(Process process)
    {
        Process = process;
        process.ErrorDataReceived += (_, line) =>
        {
            lock (_error)
            {
                _error.AppendLine(line.Data);
            }
        };
        process.BeginErrorReadLine();
        string line = process.StandardOutput.ReadLine() ?? string.Empty;
        line.ShouldStartWith(Ready, Case.Sensitive, Error);
        Url = new Uri(line[Ready.Length..]);
        _client = new HttpClient { BaseAddress = Url, Timeout = Patience };
    }

    public Process Process { get; }

    public Uri Url { get; }

    public string Error
    {
        get
        {
            lock (_error)
            {
                return _error.ToString();
            }
        }
    }

    /// <summary>Waits until the server has said this; what it says arrives by another way than its answers.</summary>
    public void WaitForError(string text)
    {
        long began = Stopwatch.GetTimestamp();
        while (!Error.Contains(text))
        {
            Stopwatch.GetElapsedTime(began).ShouldBeLessThan(Patience, $"\"{text}\" in: {Error}");
            Thread.Sleep(20);
        }
    }

    /// <param name="temporary">Where the server makes its folder of uploads.</param>
    public static ServerProcess Start(ServeFixture fixture, string temporary, params string[] options) =>
        StartIn([], fixture, temporary, options);

    public static ServerProcess StartIn(
        Dictionary<string, string?> environment, ServeFixture fixture, string temporary, params string[] options) =>
        StartIn(fixture.Folder, temporary, environment, fixture.Model, options);

    /// <param name="folder">Where the program runs.</param>
    public static ServerProcess StartIn(
        string folder, string temporary, Dictionary<string, string?> environment, string model, params string[] options) =>
        new(CommandRunner.Start(
            folder, new(environment) { ["TMPDIR"] = temporary, ["DOTNET_EnableDiagnostics"] = "0" },
            ["serve", "--checkpoint", model, "--port", "0", .. options]));

    /// <param name="options">Of serve, besides the port.</param>
    public static ServerProcess StartAt(string folder, params string[] options) =>
        new(CommandRunner.Start(folder, [], ["serve", "--port", "0", .. options]));

    public static MultipartFormDataContent Form(string path, string? name = null)
    {
        StreamContent file = new(File.OpenRead(path));
        file.Headers.ContentType = new MediaTypeHeaderValue("video/mp4");
        return new() { { file, "video", name ?? Path.GetFileName(path) } };
    }

    /// <summary>Uploads a video that is taken.</summary>
    /// <returns>Its id.</returns>
    public string Upload(string path, string? name = null) => Upload(Form(path, name));

    public string Upload(HttpContent content)
    {
        (HttpStatusCode status, JsonElement answer) = Post(content);
        status.ShouldBe(HttpStatusCode.Accepted, answer.ToString());
        return answer.GetProperty("id").GetString()!;
    }

    public (HttpStatusCode Status, JsonElement Answer) Post(HttpContent content, string query = "")
    {
        using HttpResponseMessage response = _client.PostAsync($"/api/videos{query}", content).Result;
        return (response.StatusCode, Json(response));
    }

    public (HttpStatusCode Status, JsonElement Answer) Get(string path)
    {
        using HttpResponseMessage response = _client.GetAsync(path).Result;
        return (response.StatusCode, Json(response));
    }

    public HttpResponseMessage Send(HttpMethod method, string path, HttpContent? content = null) =>
        _client.Send(new HttpRequestMessage(method, path) { Content = content });

    public byte[] Bytes(string path)
    {
        using HttpResponseMessage response = Send(HttpMethod.Get, path);
        response.StatusCode.ShouldBe(HttpStatusCode.OK, path);
        using MemoryStream bytes = new();
        response.Content.ReadAsStream().CopyTo(bytes);
        return bytes.ToArray();
    }

    public string Text(string path) => Encoding.UTF8.GetString(Bytes(path));

    public HttpStatusCode Delete(string id)
    {
        using HttpResponseMessage response = _client.DeleteAsync($"/api/videos/{id}").Result;
        return response.StatusCode;
    }

    /// <summary>Waits until a video is in one of these states.</summary>
    public JsonElement WaitFor(string id, params string[] states)
    {
        long began = Stopwatch.GetTimestamp();
        while (true)
        {
            (HttpStatusCode status, JsonElement answer) = Get($"/api/videos/{id}");
            status.ShouldBe(HttpStatusCode.OK, answer.ToString());
            if (states.Contains(answer.GetProperty("state").GetString()))
            {
                return answer;
            }

            Stopwatch.GetElapsedTime(began).ShouldBeLessThan(Patience, answer.ToString());
            Thread.Sleep(50);
        }
    }

    /// <summary>Sends a request byte by byte as it is written here, which a client library would mend.</summary>
    /// <param name="breaksOff">Whether the connection ends with it.</param>
    /// <returns>Everything that comes back until the server closes the connection, or breaks it because it did not read all that was
    /// sent.</returns>
    public string Raw(string request, bool breaksOff = false)
    {
        using TcpClient connection = new("127.0.0.1", Url.Port);
        using NetworkStream stream = connection.GetStream();
        stream.ReadTimeout = (int)Patience.TotalMilliseconds;
        stream.Write(Encoding.Latin1.GetBytes(request));
        if (breaksOff)
        {
            connection.Client.Shutdown(SocketShutdown.Send);
        }

        using MemoryStream answer = new();
        try
        {
            stream.CopyTo(answer);
        }
        catch (IOException exception) when (exception.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
        }

        return Encoding.UTF8.GetString(answer.ToArray());
    }

    /// <summary>As a person or a service manager does.</summary>
    /// <returns>The exit code.</returns>
    public int Signal(string name)
    {
        Process.Signal(name);
        Process.WaitForExit(Patience).ShouldBeTrue("the server does not stop");
        return Process.ExitCode;
    }

    public void Dispose()
    {
        _client.Dispose();
        if (!Process.HasExited)
        {
            Process.Kill();
            Process.WaitForExit();
        }

        Process.Dispose();
    }

    private static JsonElement Json(HttpResponseMessage response)
    {
        string text = response.Content.ReadAsStringAsync().Result;
        return text.Length == 0 ? default : JsonDocument.Parse(text).RootElement;
    }
}
