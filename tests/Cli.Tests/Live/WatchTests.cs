using System.Diagnostics;
using System.Text;
using System.Text.Json;
using CudaTrainer.Cli.Tests.Serve;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>The built program against cameras on loopback.</summary>
public sealed class WatchTests(ServeFixture fixture) : IClassFixture<ServeFixture>, IDisposable
{
    private static readonly string[] Windows = ["--window", "1", "--stride", "0.5"];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_stream_is_answered_as_predict_answers_for_the_recording(bool isRtsp)
    {
        string file = Write("cam.ts", seconds: 4);
        using var server = new CameraServer(isRtsp, _ => new CameraScript(File.ReadAllBytes(file), 4));
        double[] live = Answers(Watch(server.Address(), "--for", "9"), session: 1);
        double[] recorded = Predict(file);

        // The last of a recording ends with it; a connection that breaks leaves no such window.
        live.Length.ShouldBeGreaterThan(3);
        live.ShouldBe(recorded[..live.Length]);
    }

    [Fact]
    public void Segments_that_come_in_bursts_are_answered_as_predict_answers_for_the_recording()
    {
        string file = Write("cam.ts", seconds: 9);
        using var server = new CameraServer(isRtsp: false, _ => new CameraScript(File.ReadAllBytes(file), 9) { IsSegmented = true });
        double[] live = Answers(Watch(server.Address("/live.m3u8"), "--for", "9", "--late", "0.5"), session: 1);
        double[] recorded = Predict(file);
        live.Length.ShouldBeGreaterThan(8);
        live.ShouldBe(recorded[..live.Length]);
    }

    [Fact]
    public void Pictures_without_times_are_seen_when_they_come()
    {
        byte[] pictures = File.ReadAllBytes(Write("cam.mjpeg", seconds: 8, rate: 10, codec: VideoCodec.Mjpeg));
        using var server = new CameraServer(isRtsp: false, _ => CameraScript.OfPictures(pictures, 8));
        JsonElement[] lines = Lines(Watch(server.Address(), "--for", "8"));
        lines.Count(line => Is(line, "answer", null)).ShouldBeGreaterThan(8);
    }

    [Fact]
    public void Frames_that_go_through_a_backbone_are_answered_alike()
    {
        string file = Write("cam.ts", seconds: 3);
        string[] model = ["--checkpoint", fixture.Model];
        Answers(Watch([file, "--fast", .. model]), session: 1).ShouldBe(Predict(file, model));
    }

    [Fact]
    public void A_file_and_a_pipe_are_answered_to_their_end()
    {
        string file = Write("cam.ts", seconds: 3);
        double[] recorded = Predict(file);
        Answers(Watch(file, "--fast"), session: 1).ShouldBe(recorded);

        using Process process = CommandRunner.Start(_folder.Path, [], ["watch", "-", "--json", .. Windows]);
        process.StandardInput.BaseStream.Write(File.ReadAllBytes(file));
        CommandOutcome piped = ChildProcess.Finish(process);
        piped.ExitCode.ShouldBe(0, piped.Error);
        Answers(piped, session: 1).ShouldBe(recorded);
    }

    [Fact]
    public void A_camera_that_refuses_breaks_off_or_sends_rubbish_harms_no_other()
    {
        byte[] stream = File.ReadAllBytes(Write("cam.ts", seconds: 6));
        byte[] rubbish = new byte[100_000];
        new Random(7).NextBytes(rubbish);
        using var server = new CameraServer(isRtsp: false, path => path switch
        {
            "/rubbish" => new CameraScript(rubbish, 1),
            "/short" => new CameraScript(stream[..(stream.Length / 3)], 2),
            "/still" => new CameraScript(stream, 6) { Stall = 1.5 },
            _ => new CameraScript(stream, 6) { Login = path == "/private" ? "guard:s3cret" : null },
        });
        CommandOutcome outcome = Watch(
            server.Address("/good"), server.Address("/rubbish"), server.Address("/short"), server.Address("/still"),
            server.Address("/private", "guard:wr0ng@"), "http://127.0.0.1:1/nobody", "--stall", "2", "--for", "10");
        JsonElement[] lines = Lines(outcome);
        string Host(string path) => $"127.0.0.1:{server.Port}{path}";
        lines.Count(line => Is(line, "answer", Host("/good"))).ShouldBeGreaterThan(6, outcome.Error);
        lines.Count(line => Is(line, "camera_changed", Host("/short"), "live")).ShouldBeGreaterThan(1, outcome.Error);
        lines.Count(line => Is(line, "camera_changed", Host("/still"), "waiting")).ShouldBeGreaterThan(0, outcome.Error);
        Reason(Host("/private")).ShouldContain("401");
        Reason(Host("/rubbish")).ShouldNotBeEmpty();
        Reason("127.0.0.1:1/nobody").ShouldContain("Connection refused");
        (outcome.Output + outcome.Error).ShouldNotContain("wr0ng");
        (outcome.Output + outcome.Error).ShouldNotContain("guard");

        string Reason(string camera) => lines.First(line => Is(line, "camera_changed", camera, "waiting")).GetProperty("reason").GetString()!;
    }

    [Fact]
    public void What_changes_its_size_jumps_in_time_or_is_very_slow_or_fast_goes_on()
    {
        byte[] small = File.ReadAllBytes(Write("small.ts", seconds: 2)), large = File.ReadAllBytes(Write("large.ts", seconds: 2, width: 160)),
            slow = File.ReadAllBytes(Write("slow.ts", seconds: 6, rate: 1)), fast = File.ReadAllBytes(Write("fast.ts", seconds: 3, rate: 240));
        using var server = new CameraServer(isRtsp: false, path => path switch
        {
            "/slow" => new CameraScript(slow, 6),
            "/fast" => new CameraScript(fast, 3),
            "/size" => new CameraScript([.. small, .. large], 4),
            _ => new CameraScript([.. small, .. small, .. small], 6),
        });
        CommandOutcome outcome = Watch(server.Address("/slow"), server.Address("/fast"), server.Address("/size"), server.Address("/jump"),
            "--for", "8", "--late", "60");
        JsonElement[] lines = Lines(outcome);
        int Count(string path) => lines.Count(line => Is(line, "answer", $"127.0.0.1:{server.Port}{path}"));
        Count("/slow").ShouldBeGreaterThan(1, outcome.Error);
        Count("/fast").ShouldBeGreaterThan(3, outcome.Error);
        Count("/size").ShouldBeGreaterThan(4, outcome.Error);
        Count("/jump").ShouldBeGreaterThan(6, outcome.Error);
    }

    /// <summary>Lateness is what this machine has not read yet, not what stamps say of it.</summary>
    [Fact]
    public void A_clock_that_is_set_back_costs_a_moment_and_not_the_connection()
    {
        byte[] clip = File.ReadAllBytes(Write("clip.ts", seconds: 4));
        using var server = new CameraServer(isRtsp: false, _ => new CameraScript([.. clip, .. clip, .. clip, .. clip], 16));
        CommandOutcome outcome = Watch(server.Address("/loop"), "--for", "15");
        JsonElement[] lines = Lines(outcome);
        string camera = $"127.0.0.1:{server.Port}/loop";
        lines.Count(line => Is(line, "camera_changed", camera, "live")).ShouldBe(1, outcome.Error);
        lines.Count(line => Is(line, "answer", camera)).ShouldBeGreaterThan(7, outcome.Error);
    }

    /// <summary>FFmpeg would hold all of it in memory.</summary>
    [Theory]
    [InlineData("/first")]
    [InlineData("/list")]
    public void A_playlist_that_does_not_end_is_given_up(string path)
    {
        byte[] endless = Encoding.ASCII.GetBytes("#EXTM3U\n#EXT-X-TARGETDURATION:2\n"
            + string.Concat(Enumerable.Repeat("#EXTINF:2,\nx.ts\n", 800_000)));
        byte[] names = Encoding.ASCII.GetBytes("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n/rest\n");
        using var server = new CameraServer(isRtsp: false, asked => new CameraScript(asked == "/list" ? names : endless, 0.1)
        {
            ContentType = "application/vnd.apple.mpegurl",
        });
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "watch", server.Address(path), "--for", "6", "--json");
        Lines(outcome).First(line => Is(line, "camera_changed", $"127.0.0.1:{server.Port}{path}", "waiting")).GetProperty("reason")
            .GetString().ShouldBe("its playlist is longer than 8 MB");
    }

    [Theory]
    [InlineData("ftp://host/x", "not by ftp")]
    [InlineData("file:///etc/passwd", "without file://")]
    [InlineData("rtsp:///x", "names no host")]
    [InlineData("rtsp://guard:s3cret@host:abc/x", "'rtsp://host:***': the port must be")]
    public void A_wrong_address_is_an_error(string address, string says)
    {
        CommandOutcome outcome = CommandRunner.RunInside("watch", address);
        outcome.ExitCode.ShouldBe(2);
        outcome.Error.ShouldContain(says);
    }

    [Theory]
    [InlineData("watch", "guard:hunter2@127.0.0.1")]
    [InlineData("watch", "rtsp:guard:hunter2@127.0.0.1:554")]
    [InlineData("watch", "rtsp://guard:hunter2")]
    [InlineData("serve", "--camera", "guard:hunter2@127.0.0.1/x")]
    [InlineData("watch", "cam.mp4", "--mqtt", "u:hunter2@h")]
    [InlineData("watch", "cam.mp4", "--mqtt", "mqtt://u:hunter2")]
    [InlineData("watch", "cam.mp4", "--mqtt", "mqtt://u:hun ter2 hunter2@h")]
    [InlineData("watch", "cam.mp4", "--webhook", "u:hunter2@h")]
    [InlineData("watch", "cam.mp4", "--zone", "rtsp://guard:hunter2@127.0.0.1/x")]
    [InlineData("watch", "cam.mp4", "--zone", "guard:hunter2@127.0.0.1")]
    [InlineData("watch", "cam.mp4", "--stall", "rtsp://guard:hunter2@127.0.0.1")]
    [InlineData("serve", "guard:hunter2@127.0.0.1/x")]
    public void A_login_where_it_does_not_belong_is_wrong_usage_and_is_not_repeated(params string[] arguments)
    {
        CommandOutcome outcome = CommandRunner.RunInside(arguments);
        outcome.ExitCode.ShouldBe(2, outcome.Error);
        (outcome.Output + outcome.Error).ShouldNotContain("hunter2");
    }

    [Theory]
    [InlineData("watch", "ADDRESS: name a camera, or a table of them with --cameras FILE")]
    [InlineData("watch cam.mp4 --before 3", "--before: needs --events DIR")]
    [InlineData("watch cam.mp4 --keep-days 2", "--keep-days: needs --events DIR")]
    [InlineData("serve --keep-days 2", "--keep-days: needs --camera ADDRESS")]
    [InlineData("serve --webhook https://host/x", "--webhook: needs --camera ADDRESS")]
    [InlineData("serve --zone 0,0,1,1", "--zone: needs --camera ADDRESS")]
    [InlineData("serve --events events", "--events: needs --camera ADDRESS")]
    [InlineData("serve --cooldown 3", "--cooldown: needs --camera ADDRESS")]
    public void What_would_change_nothing_is_wrong_usage(string line, string says)
    {
        CommandOutcome outcome = CommandRunner.RunInside(line.Split(' '));
        outcome.ExitCode.ShouldBe(2, outcome.Error);
        outcome.ErrorLines[0].ShouldBe($"error: {says}");
    }

    [Fact]
    public void A_file_that_is_not_there_is_told_with_where_it_is_named()
    {
        string table = _folder.File("cameras.csv", "name,address,checkpoint\nhall,x.mp4,\nyard,x.mp4,no.safetensors\n");
        CommandOutcome checkpoint = CommandRunner.RunInside("watch", "--cameras", table),
            missing = CommandRunner.RunInside("watch", "--cameras", "missing.csv"),
            address = CommandRunner.RunInside("serve", "--cameras", "rtsp://guard:s3cret@host/x");
        (checkpoint.ExitCode, checkpoint.ErrorLines[0]).ShouldBe((1, $"error: '{table}': line 3: 'no.safetensors' does not exist. " +
            "The column 'checkpoint' takes a model, or nothing for that of all."));
        (missing.ExitCode, missing.ErrorLines[0]).ShouldBe((1, "error: --cameras: 'missing.csv' does not exist."));
        address.ErrorLines[0].ShouldBe("error: --cameras: 'rtsp://host/x' does not exist.");
    }

    [Fact]
    public void Where_nothing_happens_nobody_fights()
    {
        // A wall with a door, of which the encoder leaves little but its keyframes.
        string file = _folder.File("quiet.mp4");
        const int width = 320, height = 240;
        using (var writer = new VideoWriter(file, new VideoWriterOptions { Width = width, Height = height, FrameRate = new FrameRate(25) }))
        {
            byte[] rgb = new byte[writer.FrameBytes];
            for (int frame = 0; frame < 250; frame++)
            {
                for (int pixel = 0; pixel < width * height; pixel++)
                {
                    (int y, int x) = Math.DivRem(pixel, width);
                    int grey = (x is > 200 and < 260 && y > 80 ? 60 : 120 + (x / 16) + (y % 40 / 8));
                    rgb.AsSpan(3 * pixel, 3).Fill((byte)grey);
                }

                writer.AddFrame(rgb);
            }

            writer.Close();
        }

        double[] answers = [.. Lines(Watch(file, "--fast")).Where(line => Is(line, "answer", null)).Select(Score)];
        answers.Length.ShouldBeGreaterThan(15);
        answers.Max().ShouldBeLessThan(0.5);
    }

    [Fact]
    public void A_camera_that_the_model_does_not_fit_is_told()
    {
        string file = Write("dark.ts", seconds: 300, rate: 10, brightness: 0.05);
        JsonElement[] drift = [.. Lines(Watch(file, "--fast")).Where(line => Is(line, "drift_began", "dark.ts"))];
        drift.Select(line => line.GetProperty("quantity").GetString()).ShouldContain("luminance");
        drift.ShouldAllBe(line => line.GetProperty("sentence").GetString()!.EndsWith('.'));
    }

    [Fact]
    public void A_full_standard_output_ends_it_with_an_error_and_the_event_is_kept()
    {
        string file = Write("cam.ts", seconds: 3);
        CommandOutcome outcome = ChildProcess.Run("bash", ["-c", "exec dotnet \"$@\" >/dev/full", "bash", CommandRunner.ProgramFile,
            "watch", file, "--fast", "--json", "--threshold", "0", "--events", "events", .. Windows], _folder.Path);
        outcome.ExitCode.ShouldBe(1, outcome.Error);
        outcome.Error.ShouldContain("Standard output cannot be written");
    }

    [Fact]
    public void A_reader_that_goes_ends_it_and_the_event_is_saved_and_told()
    {
        // More than the first answer, with which the event begins.
        const int lines = 5;
        string file = Write("cam.ts", seconds: 30);
        using WebhookTests.Listener listener = new();
        CommandOutcome outcome = ChildProcess.Run("bash", ["-c", $"dotnet \"$@\" | head -{lines}; exit ${{PIPESTATUS[0]}}", "bash",
            CommandRunner.ProgramFile, "watch", file, "--json", "--threshold", "0", "--events", "events", "--webhook", listener.Url("/"),
            .. Windows], _folder.Path);
        outcome.ExitCode.ShouldBe(130, outcome.Error);
        outcome.Error.ShouldNotContain("   at ");
        Lines(outcome).Length.ShouldBe(lines);
        string saved = Directory.GetFiles(_folder.File("events"), "*.json", SearchOption.AllDirectories).ShouldHaveSingleItem();
        File.ReadAllText(saved).ShouldContain("\"reason\": \"stopped\"");
        listener.Requests.Select(request => request.Body.Contains("\"event\":\"ended\"")).ShouldBe([false, true]);
    }

    [Fact]
    public void What_ends_it_is_an_object_a_line_too()
    {
        CommandOutcome outcome = CommandRunner.RunInside("watch", "ftp://host/x", "--json");
        JsonElement[] lines = Lines(outcome);
        lines.Single().GetProperty("type").GetString().ShouldBe("error");
    }

    [Fact]
    public void Predict_says_what_is_for_cameras()
    {
        CommandOutcome outcome = CommandRunner.RunInside("predict", "rtsp://guard:s3cret@host/live");
        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain("the command watch");
        outcome.Error.ShouldNotContain("s3cret");
    }

    [Fact]
    public void A_table_names_cameras_thresholds_and_zones()
    {
        string file = Write("cam.ts", seconds: 3);
        File.WriteAllText(_folder.File("cameras.csv"), $"name,address,threshold,zone\nhall,{file},0,\"0,0,1,1\"\nyard,{file},1,\"0.5,0,0.5,1\"\n");
        JsonElement[] lines = Lines(Watch("--cameras", _folder.File("cameras.csv"), "--fast"));
        JsonElement[] hall = [.. lines.Where(line => Is(line, "answer", "hall"))], yard = [.. lines.Where(line => Is(line, "answer", "yard"))];
        hall.ShouldAllBe(line => line.GetProperty("label").GetString() == "violent");
        yard.ShouldAllBe(line => line.GetProperty("label").GetString() == "nonviolent");
        hall.Select(Score).ShouldBe(Predict(file));
        yard.Select(Score).ShouldNotBe(hall.Select(Score));
    }

    [Theory]
    [InlineData("name,address\n", "names no camera", true)]
    [InlineData("name,address,colour\na,x.mp4,red\n", "'colour' is unknown", true)]
    [InlineData("name,camera\na,x.mp4\n", "'camera' is unknown", true)]
    [InlineData("name\na\n", "'address'", true)]
    [InlineData("name,address\na,x.mp4,0.5\n", "line 2 has 3 fields, expected 2 as in the first line")]
    [InlineData("name,address\na,x.mp4\nA,y.mp4\n", "is there twice")]
    [InlineData("name,address,threshold\na,x.mp4,2\n", "no number from 0 to 1")]
    [InlineData("name,address,zone\na,x.mp4,\"0.5,0,0.6,1\"\n", "is no zone")]
    [InlineData("name,address,threshold\na,x.mp4,rtsp://guard:s3cret@host/x\n", "in the column 'threshold'")]
    [InlineData("name,address\nrtsp://guard:s3cret@host/x,x.mp4\n", "in the column 'name'")]
    [InlineData("name,address\nguard:s3cret@host,x.mp4\n", "in the column 'name'")]
    [InlineData("name,address\na,guard:s3cret@host\n", "did you mean rtsp://…?")]
    [InlineData("name,address,guard:s3cret@host\na,x.mp4,\n", "'***@host' is unknown", true)]
    [InlineData("name,address\n\"a\nwarning: b\",x.mp4\n", "control character")]
    [InlineData("name,address,zone\na,x.mp4,\"0,0,0.001,0.001\"\n", "is no zone")]
    [InlineData("name,address\na,gopher://guard:s3cret@host/x\n", "not by gopher")]
    public void A_table_that_is_wrong_is_an_error_with_its_line(string table, string says, bool isOfHeader = false)
    {
        File.WriteAllText(_folder.File("cameras.csv"), table);
        CommandOutcome outcome = CommandRunner.RunInside("watch", "--cameras", _folder.File("cameras.csv"));
        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain(says);
        outcome.Error.ShouldNotContain("s3cret");
        outcome.Error.Contains("The first line names the columns").ShouldBe(isOfHeader);
    }

    /// <summary>Stripes that move, at a rate that changes, in the container that the name says.</summary>
    private string Write(string name, double seconds, int width = 96, int rate = 25, double brightness = 1,
        VideoCodec codec = VideoCodec.Mpeg2)
    {
        string path = _folder.File(name);
        using var writer = new VideoWriter(path,
            new VideoWriterOptions { Width = width, Height = 64, FrameRate = new FrameRate(rate), Codec = codec });
        byte[] rgb = new byte[writer.FrameBytes];
        for (int frame = 0; frame < seconds * rate; frame++)
        {
            for (int i = 0; i < rgb.Length; i++)
            {
                int x = i / 3 % width, y = i / 3 / width;
                rgb[i] = (byte)(brightness * (byte)((x * 7) + (y * 3) + (frame * frame % 97 * 25 / rate)));
            }

            writer.AddFrame(rgb);
        }

        writer.Close();
        return path;
    }

    private CommandOutcome Watch(params string[] arguments)
    {
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], ["watch", .. arguments, "--json", .. Windows]);
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        return outcome;
    }

    private double[] Predict(string file, params string[] model)
    {
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], ["predict", file, "--json", .. Windows, .. model]);
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Output);
        return [.. json.RootElement[0].GetProperty("windows").EnumerateArray().Select(window => window.GetProperty("violent").GetDouble())];
    }

    /// <summary>Up to where the first connection ends.</summary>
    private static double[] Answers(CommandOutcome outcome, int session) => [.. Lines(outcome)
        .SkipWhile(line => !Is(line, "camera_changed", null, "live")).Skip(session)
        .TakeWhile(line => !Is(line, "camera_changed", null)).Where(line => Is(line, "answer", null)).Select(Score)];

    private static double Score(JsonElement line) => line.GetProperty("violent").GetDouble();

    private static JsonElement[] Lines(CommandOutcome outcome) => [.. outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => JsonDocument.Parse(line).RootElement)];

    private static bool Is(JsonElement line, string type, string? camera, string? state = null) =>
        line.GetProperty("type").GetString() == type && (camera is null || line.GetProperty("camera").GetString() == camera)
            && (state is null || line.GetProperty("state").GetString() == state);
}
