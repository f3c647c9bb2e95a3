using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text.Json;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>Limits of size, time, number and age; and how the server ends.</summary>
[Collection(nameof(ServeCollection))]
[SupportedOSPlatform("linux")]
public sealed class ServeLimitTests(ServeFixture fixture) : IDisposable
{
    private readonly TemporaryFolder _temporary = new();
    private readonly List<ServerProcess> _servers = [];

    [Fact]
    public void Too_large_an_upload_is_refused_and_leaves_nothing()
    {
        long size = new FileInfo(fixture.Clip).Length;
        ServerProcess server = Start("--max-upload-mb", (size / 1e6).ToString(System.Globalization.CultureInfo.InvariantCulture));
        string larger = Path.Combine(_temporary.Path, "larger.mp4");
        File.WriteAllBytes(larger, [.. File.ReadAllBytes(fixture.Clip), 0]);

        Refused(ServerProcess.Form(larger));
        Refused(new ByteArrayContent(File.ReadAllBytes(larger)));
        Refused(new ChunkedContent(File.ReadAllBytes(larger)));
        Refused(new ChunkedContent(new byte[3_000_000]));

        // The limit itself is allowed.
        server.WaitFor(server.Upload(fixture.Clip), "done", "failed").GetProperty("state").GetString().ShouldBe("done");
        Uploads().ShouldBeEmpty();

        void Refused(HttpContent content)
        {
            (HttpStatusCode status, JsonElement answer) = server.Post(content);
            status.ShouldBe(HttpStatusCode.RequestEntityTooLarge);
            answer.GetProperty("error").GetProperty("code").GetString().ShouldBe("too_large");
            answer.GetProperty("error").GetProperty("message").GetString()!.ShouldContain(" MB");
            Uploads().ShouldBeEmpty();
        }
    }

    [Fact]
    public void A_gigabyte_is_refused_before_it_is_sent()
    {
        ServerProcess server = Start();

        string answer = server.Raw(
            "POST /api/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\nConnection: close\r\n\r\n");

        answer.ShouldStartWith("HTTP/1.1 413 ");
        answer.ShouldContain("\"code\": \"too_large\"");
    }

    [Fact]
    public void The_queue_has_a_length_and_every_video_a_place_in_it()
    {
        ServerProcess server = Start(["--queue", "2", .. ServeFixture.ShortWindows]);
        string first = server.Upload(fixture.Long);
        server.WaitFor(first, "running").GetProperty("position").ValueKind.ShouldBe(JsonValueKind.Null);
        string second = server.Upload(fixture.Clip), third = server.Upload(fixture.Clip);
        Position(second).ShouldBe(1);
        Position(third).ShouldBe(2);
        Uploads().Length.ShouldBe(3);

        using HttpResponseMessage busy = server.Send(HttpMethod.Post, "/api/videos", ServerProcess.Form(fixture.Clip));
        busy.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        busy.Headers.RetryAfter!.Delta!.Value.TotalSeconds.ShouldBeGreaterThanOrEqualTo(1);
        new StreamReader(busy.Content.ReadAsStream()).ReadToEnd().ShouldContain("\"code\": \"busy\"");
        Uploads().Length.ShouldBe(3);

        // Who leaves makes room; who waits moves up.
        server.Delete(second).ShouldBe(HttpStatusCode.NoContent);
        Position(third).ShouldBe(1);
        Uploads().Length.ShouldBe(2);
        string fourth = server.Upload(fixture.Clip);
        Position(fourth).ShouldBe(2);

        // Deleting the one at work stops the work.
        server.WaitFor(first, "running").GetProperty("result").ValueKind.ShouldBe(JsonValueKind.Null);
        server.Delete(first).ShouldBe(HttpStatusCode.NoContent);
        server.WaitFor(third, "done");
        server.WaitFor(fourth, "done");
        server.Get($"/api/videos/{first}").Status.ShouldBe(HttpStatusCode.NotFound);
        Uploads().ShouldBeEmpty();

        int Position(string id) => server.Get($"/api/videos/{id}").Answer.GetProperty("position").GetInt32();
    }

    [Fact]
    public void Work_on_a_video_ends_with_its_time_and_so_does_the_decoder()
    {
        ServerProcess server = Start(["--timeout", "6", .. ServeFixture.ShortWindows]);
        string id = server.Upload(fixture.Long);
        server.WaitFor(id, "running");
        WaitUntil(() => Decoders() == 1);

        JsonElement error = server.WaitFor(id, "failed", "done").GetProperty("error");

        error.GetProperty("code").GetString().ShouldBe("timeout");
        error.GetProperty("message").GetString()!.ShouldContain("6 s");
        WaitUntil(() => Decoders() == 0);
        Uploads().ShouldBeEmpty();

        // The next one has its turn.
        server.WaitFor(server.Upload(new StringContent("no video")), "failed", "done").GetProperty("error").GetProperty("code").GetString()
            .ShouldBe("not_a_video");

        int Decoders() => Directory.GetDirectories($"/proc/{server.Process.Id}/task").Count(task => NameOf(task) == "video stream");
    }

    [Fact]
    public void Results_expire()
    {
        ServerProcess server = Start("--keep", "0.02");
        string id = server.Upload(fixture.Clip);

        WaitUntil(() => server.Get($"/api/videos/{id}") is { Status: HttpStatusCode.NotFound, Answer: var answer } && answer.GetProperty(
            "error").GetProperty("code").GetString() == "unknown_id");
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public void Signals_end_it_in_order(string signal)
    {
        ServerProcess server = Start(ServeFixture.ShortWindows);
        string first = server.Upload(fixture.Long);
        server.Upload(fixture.Clip);
        server.WaitFor(first, "running");
        Uploads().Length.ShouldBe(2);

        server.Signal(signal).ShouldBe(130);

        Directory.EnumerateFileSystemEntries(_temporary.Path).ShouldBeEmpty();
        WaitUntil(() => server.Error.Contains("stopped", StringComparison.Ordinal));
        server.Error.ShouldContain("stopping; once more to stop at once");
    }

    [Fact]
    public void After_a_crash_the_next_start_removes_what_was_left_and_only_that()
    {
        ServerProcess alive = Start(ServeFixture.ShortWindows);
        string work = alive.Upload(fixture.Long);
        string[] living = Directory.GetDirectories(_temporary.Path);
        ServerProcess crashed = Start(ServeFixture.ShortWindows);
        crashed.WaitFor(crashed.Upload(fixture.Long), "running");
        string left = Directory.GetDirectories(_temporary.Path).Except(living).ShouldHaveSingleItem();
        crashed.Signal("KILL");
        Directory.GetFiles(left, "*.upload").ShouldHaveSingleItem();
        string foreign = Path.Combine(_temporary.Path, "cudatrainer-serve-foreign"),
            open = Path.Combine(_temporary.Path, "cudatrainer-serve-open"), link = Path.Combine(_temporary.Path, "cudatrainer-serve-link");
        foreach (string folder in (string[])[foreign, open])
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            File.WriteAllText(Path.Combine(folder, $"{new string('a', 32)}.upload"), "precious");
        }

        File.WriteAllText(Path.Combine(open, "lock"), "");
        File.SetUnixFileMode(open, File.GetUnixFileMode(open) | UnixFileMode.OtherWrite);
        Directory.CreateSymbolicLink(link, foreign);

        ServerProcess next = Start();

        Directory.Exists(left).ShouldBeFalse();
        Directory.GetFiles(foreign).ShouldHaveSingleItem();
        Directory.GetFiles(open).Length.ShouldBe(2);
        Directory.Exists(link).ShouldBeTrue();
        alive.WaitFor(work, "running");
        Directory.GetFiles(living.ShouldHaveSingleItem(), "*.upload").ShouldHaveSingleItem();
        next.Signal("TERM").ShouldBe(130);
    }

    [Fact]
    public void Only_the_owner_can_look_into_the_folder()
    {
        Start();

        string folder = Directory.GetDirectories(_temporary.Path).ShouldHaveSingleItem();

        File.GetUnixFileMode(folder).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    [Fact]
    public void Mistakes_are_named_at_once()
    {
        using TcpListener taken = new(IPAddress.Loopback, 0);
        taken.Start();
        string port = $"{((IPEndPoint)taken.LocalEndpoint).Port}";

        CommandOutcome busy =
            CommandRunner.RunIn(fixture.Folder, new() { ["TMPDIR"] = _temporary.Path }, "serve", "--checkpoint", fixture.Model,
            "--port", port);
        busy.ExitCode.ShouldBe(1);
        busy.Error.ShouldContain($"error: Port {port} of 127.0.0.1 cannot be had: ");
        busy.ErrorLines[^1].ShouldStartWith("hint: Choose another with --port");
        Directory.EnumerateFileSystemEntries(_temporary.Path).ShouldBeEmpty();

        CommandOutcome wrong =
            CommandRunner.RunInside("serve", "--host", "example.org", "--port", "70000", "--queue", "-1", "--timeout", "0",
            "--max-upload-mb", "0", "--keep", "-1", "--stride", "3");
        wrong.ExitCode.ShouldBe(2);
        string[] expected =
        [
            "error: --timeout: 0 is out of range; expected more than 0, up to 1000000",
            "error: --port: 70000 is out of range; expected 0 to 65535",
            "error: --max-upload-mb: 0 is out of range; expected more than 0, up to 1000000",
            "error: --queue: -1 is out of range; expected 0 to 1000",
            "error: --keep: -1 is out of range; expected more than 0, up to 10000",
            "error: --host: \"example.org\" is not an IP address or localhost",
            "error: --stride: is above --window; parts of the video would be in no window",
            "Run \"cudatrainer serve --help\" for help.",
        ];
        wrong.ErrorLines.ShouldBe(expected);
        CommandRunner.RunIn(fixture.Folder, [], "serve", "--checkpoint", "none").Error.ShouldContain("none");
    }

    [Fact]
    public void Beyond_this_machine_it_warns_and_takes_any_name_but_no_other_page()
    {
        ServerProcess server = Start("--host", "0.0.0.0", "--open-access");

        server.WaitForError("warning: other machines can reach this server");
        server.Raw("GET / HTTP/1.1\r\nHost: camera.local\r\nConnection: close\r\n\r\n").ShouldStartWith("HTTP/1.1 200 ");
        server.Raw("POST /api/videos HTTP/1.1\r\nHost: camera.local\r\nOrigin: http://evil.example\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx").ShouldStartWith("HTTP/1.1 403 ");
    }

    [Fact]
    public void A_simulated_GPU_is_named_as_one()
    {
        string simulator = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../cudasim"));
        Assert.SkipUnless(Directory.Exists(simulator), "the simulator has not been built");
        var server = ServerProcess.StartIn(new() { ["CUDATRAINER_CUDA_SIMULATOR"] = simulator }, fixture, _temporary.Path, "--device",
            "cuda:0");
        _servers.Add(server);

        JsonElement health = server.Get("/api/health").Answer;

        health.GetProperty("simulated").GetBoolean().ShouldBeTrue();
        health.GetProperty("device").GetString()!.ShouldContain("SIMULATED");
        health.GetProperty("note").GetString()!.ShouldStartWith("SIMULATED");
    }

    public void Dispose()
    {
        foreach (ServerProcess server in _servers)
        {
            server.Dispose();
        }

        _temporary.Dispose();
    }

    private static void WaitUntil(Func<bool> holds)
    {
        long began = Stopwatch.GetTimestamp();
        while (!holds())
        {
            Stopwatch.GetElapsedTime(began).ShouldBeLessThan(ServerProcess.Patience);
            Thread.Sleep(20);
        }
    }

    /// <summary>A thread may end while it is asked for its name.</summary>
    private static string NameOf(string task)
    {
        try
        {
            return File.ReadAllText(Path.Combine(task, "comm")).Trim();
        }
        catch (IOException)
        {
            return string.Empty;
        }
    }

    private ServerProcess Start(params string[] options)
    {
        var server = ServerProcess.Start(fixture, _temporary.Path, options);
        _servers.Add(server);
        return server;
    }

    private string[] Uploads() => Directory.GetFiles(_temporary.Path, "*.upload", SearchOption.AllDirectories);

    /// <summary>Says nothing of its length beforehand.</summary>
    private sealed class ChunkedContent(byte[] bytes) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(bytes);
            await stream.FlushAsync();
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
