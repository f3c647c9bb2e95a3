using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>What the server answers, and what it refuses.</summary>
[Collection(nameof(ServeCollection))]
public sealed class ServeApiTests(ServeFixture fixture)
{
    private readonly ServerProcess _server = fixture.Server;

    [Fact]
    public void The_numbers_are_those_of_predict()
    {
        CommandOutcome predicted = CommandRunner.RunIn(fixture.Folder, [],
            ["predict", fixture.Clip, "--checkpoint", fixture.Model, .. ServeFixture.Windows, "--json"]);
        predicted.ExitCode.ShouldBe(0, predicted.Error);
        using var json = JsonDocument.Parse(predicted.Output);
        JsonElement expected = json.RootElement[0];

        JsonElement answer = _server.WaitFor(_server.Upload(fixture.Clip), "done", "failed");

        (answer.GetProperty("name").GetString(), answer.GetProperty("bytes").GetInt64())
            .ShouldBe(("clip.mp4", new FileInfo(fixture.Clip).Length));
        JsonElement result = answer.GetProperty("result");
        foreach (string key in (string[])["violent", "label", "threshold", "release", "status", "error"])
        {
            result.GetProperty(key).GetRawText().ShouldBe(expected.GetProperty(key).GetRawText(), key);
        }

        // 24 frames in windows of 12 every 4.
        JsonElement[] windows = result.GetProperty("windows").EnumerateArray().ToArray();
        windows.Length.ShouldBe(4);
        foreach (string list in (string[])["windows", "events"])
        {
            (JsonElement First, JsonElement Second)[] pairs =
                result.GetProperty(list).EnumerateArray().Zip(expected.GetProperty(list).EnumerateArray()).ToArray();
            pairs.Length.ShouldBe(expected.GetProperty(list).GetArrayLength());
            pairs.Length.ShouldBeGreaterThan(0);
            foreach ((JsonElement ours, JsonElement theirs) in pairs)
            {
                foreach (JsonProperty property in theirs.EnumerateObject())
                {
                    ours.GetProperty(property.Name).GetRawText().ShouldBe(property.Value.GetRawText(), property.Name);
                }
            }
        }

        windows.ShouldAllBe(window => Math.Abs(Attention(window).Sum() - 1) < 1e-5 && Attention(window).Length == 4);
        JsonElement[] frames = result.GetProperty("frames").EnumerateArray().ToArray();
        frames.Length.ShouldBeInRange(4, 8);
        frames.Select(frame => frame.GetProperty("time").GetDouble()).ShouldBeInOrder();
        for (int number = 0; number < frames.Length; number++)
        {
            JsonElement frame = frames[number];
            JsonElement window = windows[frame.GetProperty("window").GetInt32()];
            double time = frame.GetProperty("time").GetDouble();
            time.ShouldBeInRange(window.GetProperty("start").GetDouble(), window.GetProperty("end").GetDouble());
            frame.GetProperty("violent").GetRawText().ShouldBe(window.GetProperty("violent").GetRawText());
            Attention(window).ShouldContain(frame.GetProperty("attention").GetDouble());
            byte[] png = _server.Bytes(frame.GetProperty("url").GetString()!);
            (BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16)), BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(20))).ShouldBe((160, 120));
        }

        // The body itself is the video, its name in the address.
        ByteArrayContent raw = new(File.ReadAllBytes(fixture.Clip));
        raw.Headers.ContentType = new MediaTypeHeaderValue("application/x-www-form-urlencoded");
        (HttpStatusCode status, JsonElement second) = _server.Post(raw, "?name=a%20clip.mp4");
        status.ShouldBe(HttpStatusCode.Accepted);
        JsonElement again = _server.WaitFor(second.GetProperty("id").GetString()!, "done", "failed");
        again.GetProperty("name").GetString().ShouldBe("a clip.mp4");
        again.GetProperty("result").GetProperty("windows").GetRawText().ShouldBe(result.GetProperty("windows").GetRawText());
        Uploads().ShouldBeEmpty();
    }

    [Fact]
    public void Deleted_and_unknown_videos_are_not_found()
    {
        string id = _server.Upload(fixture.Clip);
        _server.WaitFor(id, "done");
        _server.Delete(id).ShouldBe(HttpStatusCode.NoContent);

        foreach (string path in (string[])[$"/api/videos/{id}", $"/api/videos/{id}/frames/0.png", $"/api/videos/{new string('0', 32)}",
            "/api/videos/x", "/api/videos/", "/api", "/page.js", "/etc/passwd"])
        {
            (HttpStatusCode status, JsonElement answer) = _server.Get(path);
            (status, answer.GetProperty("error").GetProperty("message").GetString()).Item1.ShouldBe(HttpStatusCode.NotFound, path);
        }

        _server.Delete(id).ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public void Ids_are_long_and_random()
    {
        string[] ids = [.. Enumerable.Range(0, 3).Select(_ => _server.Upload(new StringContent("no video")))];

        ids.ShouldBeUnique();
        ids.ShouldAllBe(id => id.Length == 32 && id.All(char.IsAsciiHexDigitLower));
        ids.Select(id => id[..4]).Distinct().Count().ShouldBeGreaterThan(1);
    }

    [Fact]
    public void Health_says_what_answers()
    {
        (HttpStatusCode status, JsonElement health) = _server.Get("/api/health");

        status.ShouldBe(HttpStatusCode.OK);
        health.GetProperty("status").GetString().ShouldBe("ok");
        health.GetProperty("version").GetString().ShouldBe(ProgramVersion.Text);
        health.GetProperty("simulated").GetBoolean().ShouldBeFalse();
        health.GetProperty("note").ValueKind.ShouldBe(JsonValueKind.Null);
        health.GetProperty("device").GetString()!.ShouldStartWith("cpu");
        health.GetProperty("model").GetProperty("frames").GetInt32().ShouldBe(4);
        health.GetProperty("model").GetProperty("file").GetString().ShouldBe("run");
        health.GetProperty("limits").GetProperty("upload_bytes").GetInt64().ShouldBe(500_000_000);
        health.ToString().ShouldNotContain(fixture.Folder);
    }

    [Fact]
    public void Bad_uploads_are_refused_or_fail_with_a_reason()
    {
        byte[] clip = File.ReadAllBytes(fixture.Clip);
        Error(new ByteArrayContent([])).ShouldBe((HttpStatusCode.BadRequest, "empty"));
        Error(FormOf([])).ShouldBe((HttpStatusCode.BadRequest, "empty"));
        Error(new MultipartFormDataContent { { new StringContent("text"), "video" } }).ShouldBe((HttpStatusCode.BadRequest, "bad_form"));
        Error(new MultipartFormDataContent { { new ByteArrayContent(clip), "a", "a.mp4" }, { new ByteArrayContent(clip), "b", "b.mp4" } })
            .ShouldBe((HttpStatusCode.BadRequest, "bad_form"));
        Error(Multipart("--x\r\nContent-Disposition: form-data; name=\"video\"; filename=\"a\"\r\n\r\ncut off",
            "multipart/form-data; boundary=x")).ShouldBe((HttpStatusCode.BadRequest, "bad_form"));
        Error(Multipart("no boundary in here", "multipart/form-data; boundary=x")).ShouldBe((HttpStatusCode.BadRequest, "bad_form"));
        Error(Multipart("x", "multipart/form-data")).ShouldBe((HttpStatusCode.BadRequest, "bad_form"));
        Error(Multipart("x", $"multipart/form-data; boundary={new string('x', 300)}")).ShouldBe((HttpStatusCode.BadRequest, "bad_form"));
        Error(Multipart($"--x\r\n{new string('a', 100_000)}", "multipart/form-data; boundary=x"))
            .ShouldBe((HttpStatusCode.BadRequest, "bad_form"));

        Failure(Encoding.UTF8.GetBytes("this is no video")).ShouldStartWith("not_a_video: The video cannot be read (not a video): ");
        Failure(new byte[5000]).ShouldStartWith("not_a_video: ");
        string truncated = Failure(clip[..(clip.Length / 2)]);
        truncated.ShouldStartWith("truncated: ");
        truncated.ShouldNotContain(fixture.Temporary);

        // After all that it works.
        _server.WaitFor(_server.Upload(fixture.Clip), "done", "failed").GetProperty("state").GetString().ShouldBe("done");
        Uploads().ShouldBeEmpty();
    }

    [Fact]
    public void A_video_that_ends_early_has_an_answer_for_what_there_is()
    {
        // In Matroska the pictures are in order: half a file is half a video.
        using TemporaryFolder folder = new();
        string whole = folder.File("whole.mkv");
        using (VideoWriter writer = new(whole, new() { Width = 64, Height = 48, Codec = VideoCodec.Mjpeg }))
        {
            byte[] rgb = new byte[writer.FrameBytes];
            for (int frame = 0; frame < 50; frame++)
            {
                new Random(frame).NextBytes(rgb);
                writer.AddFrame(rgb);
            }

            writer.Close();
        }

        byte[] bytes = File.ReadAllBytes(whole);
        JsonElement answer = _server.WaitFor(_server.Upload(FormOf(bytes[..(bytes.Length * 2 / 3)])), "done", "failed");

        JsonElement result = answer.GetProperty("result");
        result.GetProperty("status").GetString().ShouldBe("truncated");
        result.GetProperty("error").GetString()!.ShouldNotBeEmpty();
        result.GetProperty("windows")[0].GetProperty("start").GetDouble().ShouldBe(0);
        result.GetProperty("video").GetProperty("duration").GetDouble().ShouldBeInRange(1, 1.6);
    }

    [Theory]
    [InlineData("../../../escaped.mp4", "escaped.mp4")]
    [InlineData("..\\..\\escaped.mp4", "escaped.mp4")]
    [InlineData("/etc/cron.d/escaped", "escaped")]
    [InlineData("..", "..")]
    [InlineData("<img src=x onerror=alert(1)>.mp4", "<img src=x onerror=alert(1)>.mp4")]
    [InlineData("a\u0007b\u001b[31mc\u202egpj.mp4", "ab[31mcgpj.mp4")]
    [InlineData("\u0001", "video")]
    public void Names_of_uploads_are_shown_and_nothing_more(string name, string shown)
    {
        (HttpStatusCode status, JsonElement answer) = _server.Post(new StringContent("no video"), $"?name={Uri.EscapeDataString(name)}");

        status.ShouldBe(HttpStatusCode.Accepted);
        string id = answer.GetProperty("id").GetString()!;
        answer.GetProperty("name").GetString().ShouldBe(shown);
        string text = _server.Text($"/api/videos/{id}");
        text.ShouldNotContain("<");
        _server.WaitFor(id, "failed");
        Directory.EnumerateFileSystemEntries(fixture.Temporary).ShouldHaveSingleItem();
        _server.WaitForError($"{shown}: ");
        _server.Error.ShouldAllBe(letter => !char.IsControl(letter) || letter == '\n');
    }

    [Fact]
    public void Very_long_names_are_cut()
    {
        (_, JsonElement answer) = _server.Post(new StringContent("no video"), $"?name={new string('n', 3000)}.mp4");

        answer.GetProperty("name").GetString().ShouldBe(new string('n', 200) + "…");
    }

    [Theory]
    [InlineData("GET /../../etc/passwd", 404)]
    [InlineData("GET /%2e%2e/%2e%2e/etc/passwd", 404)]
    [InlineData("GET /api/videos/../../../etc/passwd", 404)]
    [InlineData("GET /api/videos/..%2f..%2fetc%2fpasswd", 404)]
    [InlineData("GET /api/videos/ID/frames/..%2f..%2flock", 404)]
    [InlineData("GET /api/videos/ID/frames/../../ID.upload", 404)]
    [InlineData("GET /api/videos/ID/frames/-1.png", 404)]
    [InlineData("GET /api/videos/ID/frames/0.jpg", 404)]
    [InlineData("GET /api/videos/ID/frames/99999999999999999999.png", 404)]
    [InlineData("GET /api/videos/ID/frames/0.png", 200)]
    [InlineData("HEAD /api/videos/ID/frames/0.png", 200)]
    [InlineData("GET /api/videos/ID", 200)]
    [InlineData("GET /api/videos/ID/", 404)]
    [InlineData("GET //api/videos/ID", 404)]
    [InlineData("GET /%00", 400)]
    [InlineData("PUT /api/videos/ID", 405)]
    [InlineData("POST /api/videos/ID", 405)]
    [InlineData("DELETE /api/videos", 405)]
    [InlineData("PUT /api/videos", 405)]
    [InlineData("OPTIONS /api/videos", 405)]
    [InlineData("POST /api/health", 405)]
    [InlineData("DELETE /", 405)]
    [InlineData("FOO /", 405)]
    [InlineData("TRACE /", 405)]
    public void Odd_requests_get_a_plain_answer(string line, int status)
    {
        string answer = _server.Raw(
            $"{line.Replace("ID", fixture.Answered)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

        answer.ShouldStartWith($"HTTP/1.1 {status} ");
        answer.ShouldNotContain("root:");
        if (status != 400)
        {
            answer.ShouldContain("Content-Security-Policy: default-src 'none';");
            answer.ShouldContain("X-Content-Type-Options: nosniff");
            answer.ShouldContain("X-Frame-Options: DENY");
            answer.ShouldContain("Referrer-Policy: no-referrer");
            answer.ShouldNotContain("Access-Control-Allow");
        }

        if (status == 405)
        {
            answer.ShouldContain("\r\nAllow: ");
            answer.ShouldContain("\"code\": \"wrong_method\"");
        }
    }

    [Theory]
    [InlineData("Host: localhost", 200)]
    [InlineData("Host: LOCALHOST:1234", 200)]
    [InlineData("Host: 127.0.0.1:80", 200)]
    [InlineData("Host: [::1]", 200)]
    [InlineData("Host: evil.example", 403)]
    [InlineData("Host: localhost.evil.example", 403)]
    [InlineData("Host: 127.0.0.1.evil.example", 403)]
    [InlineData("Host: 192.168.0.1", 403)]
    [InlineData("Host:", 403)]
    [InlineData("Host: localhost:80\r\nOrigin: http://localhost", 200)]
    [InlineData("Host: localhost:8080\r\nOrigin: http://localhost:8080", 200)]
    [InlineData("Host: localhost:8080\r\nOrigin: http://localhost:9090", 403)]
    [InlineData("Host: localhost\r\nOrigin: https://localhost", 403)]
    [InlineData("Host: localhost\r\nOrigin: http://evil.example", 403)]
    [InlineData("Host: localhost\r\nOrigin: null", 403)]
    public void Other_pages_and_names_are_turned_away(string headers, int status)
    {
        foreach (string path in (string[])["/", "/api/health"])
        {
            _server.Raw($"GET {path} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n").ShouldStartWith($"HTTP/1.1 {status} ");
        }

        string posted = _server.Raw($"POST /api/videos HTTP/1.1\r\n{headers}\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntext");
        posted.ShouldStartWith(status == 200 ? "HTTP/1.1 202 " : "HTTP/1.1 403 ");
        _server.Get("/api/health").Status.ShouldBe(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("/", "40000", "431", "headers_too_large")]
    [InlineData("/", "700000", "431", "headers_too_large")]
    [InlineData("/?name=", "10", "414", "too_long")]
    public void A_head_that_is_too_large_is_refused_as_everything_else_is(string path, string bytes, string status, string code)
    {
        string header = new('h', int.Parse(bytes, System.Globalization.CultureInfo.InvariantCulture));
        string name = path.EndsWith('=') ? new string('n', 20_000) : "";

        string answer = _server.Raw($"GET {path}{name} HTTP/1.1\r\nHost: localhost\r\nX-Long: {header}\r\nConnection: close\r\n\r\n");

        answer.ShouldStartWith($"HTTP/1.1 {status} ");
        Refusal(answer).ShouldBe(code);
    }

    /// <summary>The code of a refusal, which is JSON of the length that its head says.</summary>
    private static string? Refusal(string answer)
    {
        string[] parts = answer.Split("\r\n\r\n", 2);
        parts[0].ShouldContain("Content-Type: application/json");
        parts[0].ShouldContain($"Content-Length: {parts[1].Length}");
        using var json = JsonDocument.Parse(parts[1]);
        return json.RootElement.GetProperty("error").GetProperty("code").GetString();
    }

    [Fact]
    public void Requests_that_are_no_HTTP_change_nothing()
    {
        foreach (string request in (string[])["\0\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
            $"GET /{new string('a', 20_000)} HTTP/1.1\r\n\r\n",
            "POST /api/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
            "POST /api/videos HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
        {
            string answer = _server.Raw(request);
            answer.ShouldMatch("^HTTP/1.1 (4..|505) ");
            Refusal(answer).ShouldBeOneOf("bad_request", "bad_host", "too_long");
        }

        // An upload that breaks off leaves nothing.
        _server.Raw("POST /api/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nonly this", breaksOff: true);
        _server.WaitFor(_server.Upload(new StringContent("no video")), "failed");
        Uploads().ShouldBeEmpty();
        JsonElement queue = _server.Get("/api/health").Answer.GetProperty("queue");
        (queue.GetProperty("running").GetInt32(), queue.GetProperty("waiting").GetInt32()).ShouldBe((0, 0));
    }

    private static double[] Attention(JsonElement window) =>
        [.. window.GetProperty("attention").EnumerateArray().Select(weight => weight.GetDouble())];

    private static MultipartFormDataContent FormOf(byte[] bytes) => new() { { new ByteArrayContent(bytes), "video", "clip.mp4" } };

    private static StringContent Multipart(string body, string type)
    {
        StringContent content = new(body);
        content.Headers.Remove("Content-Type");
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        return content;
    }

    private string[] Uploads() => Directory.GetFiles(fixture.Temporary, "*.upload", SearchOption.AllDirectories);

    private (HttpStatusCode Status, string? Code) Error(HttpContent content)
    {
        (HttpStatusCode status, JsonElement answer) = _server.Post(content);
        answer.GetProperty("error").GetProperty("message").GetString()!.ShouldNotBeEmpty();
        return (status, answer.GetProperty("error").GetProperty("code").GetString());
    }

    private string Failure(byte[] video)
    {
        JsonElement error = _server.WaitFor(_server.Upload(FormOf(video)), "done", "failed").GetProperty("error");
        return $"{error.GetProperty("code").GetString()}: {error.GetProperty("message").GetString()}";
    }
}
