using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using CudaTrainer.Cli.Tests.Serve;
using CudaTrainer.Data.Video;
using CudaTrainer.Live.Events;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>The wall of cameras, in a browser and by its calls.</summary>
public sealed class CameraPageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_page_shows_cameras_and_the_clips_of_their_events()
    {
        await using Browser browser = await Browser.Start();
        using ServerProcess server = Serve();
        using HttpClient client = new() { BaseAddress = server.Url };
        IPage page = await browser.Open(server.Url.ToString());
        await page.GetByRole(AriaRole.Link, new() { Name = "Cameras" }).ClickAsync();

        ILocator hall = page.GetByRole(AriaRole.Article, new() { Name = "hall" }), gate = page.GetByRole(AriaRole.Article, new() { Name = "gate" });
        await Expect(hall.Locator("img")).ToBeVisibleAsync();
        await Expect(hall.Locator(".tag")).ToContainTextAsync(new Regex("violent|over"));
        await Expect(gate).ToContainTextAsync("Connection refused");
        await Expect(hall.Locator("svg path")).ToHaveAttributeAsync("d", new Regex("^M.*L"));

        // The file is over after four seconds, and its event with it.
        ILocator row = page.Locator(".events li");
        await Expect(row).ToContainTextAsync("hall");
        await row.GetByText("Clip").ClickAsync();
        ILocator clip = row.Locator("video");
        await clip.EvaluateAsync("video => { video.muted = true; video.play(); }");
        await page.WaitForFunctionAsync("() => document.querySelector('.events video').duration > 2");
        await Expect(row.Locator("img")).ToBeVisibleAsync();

        // The page is taken anew every second, and what somebody opened stays open.
        await Task.Delay(2500);
        await Expect(clip).ToBeVisibleAsync();

        // A browser breaks off the loading of a video when it has enough.
        browser.Complaints.Where(complaint => !complaint.Contains("/clips/")).ShouldBeEmpty();

        JsonElement list = ServeHost.Json(await client.GetAsync("/api/cameras"));
        list.GetProperty("cameras").EnumerateArray().Select(camera => camera.GetProperty("name").GetString()).ShouldBe(["hall", "gate"]);
        list.ToString().ShouldNotContain("s3cret");
        JsonElement one = ServeHost.Json(await client.GetAsync("/api/cameras/events")).GetProperty("events").EnumerateArray().Single();
        HttpResponseMessage file = await client.GetAsync(one.GetProperty("clips")[0].GetString());
        file.Content.Headers.ContentType!.MediaType.ShouldBe("video/mp4");
        (await client.GetStringAsync("/metrics")).ShouldContain("windows_total{camera=\"hall\"}");
    }

    [Fact]
    public async Task The_page_needs_no_script_and_events_outlive_the_server()
    {
        using (ServerProcess first = Serve())
        {
            while (!Directory.EnumerateFiles(_folder.Path, "*.json", SearchOption.AllDirectories).Any())
            {
                await Task.Delay(50);
            }
        }

        await using Browser browser = await Browser.Start();
        using ServerProcess server = Serve();
        IPage page = await browser.Open($"{server.Url}cameras", width: 390, hasScripts: false);
        await Expect(page.Locator(".events li").Last).ToContainTextAsync("hall");
        await Expect(page.GetByRole(AriaRole.Article)).ToHaveCountAsync(2);
        double wide = await page.EvaluateAsync<double>("document.documentElement.scrollWidth");
        wide.ShouldBeLessThanOrEqualTo(390);
    }

    [Fact]
    public async Task What_is_not_there_is_refused()
    {
        using ServeHost host = new();
        foreach (string path in (string[])["/api/cameras", "/api/cameras/0/picture.png", "/api/cameras/events/x/clips/0", "/api/cameras/events"])
        {
            HttpResponseMessage answer = await host.Client().GetAsync(path);
            (answer.StatusCode, ServeHost.Json(answer).GetProperty("error").GetProperty("code").GetString())
                .ShouldBe((HttpStatusCode.NotFound, "no_cameras"), path);
        }

        using ServerProcess server = Serve();
        using HttpClient client = new() { BaseAddress = server.Url };
        foreach (string path in (string[])
            ["/api/cameras/7/picture.png", "/api/cameras/events/..%2f..%2fetc%2fpasswd/clips/0", "/api/cameras/events/x/picture.png"])
        {
            (await client.GetAsync(path)).StatusCode.ShouldBe(HttpStatusCode.NotFound, path);
        }
    }

    /// <summary>Whoever can write to the folder of events must not read more than that by the server.</summary>
    [Fact]
    public async Task Only_files_of_an_event_itself_are_served()
    {
        DateTimeOffset start = new(2026, 7, 1, 12, 0, 0, TimeSpan.Zero);
        string id = EventName.Id(start, "hall"), other = EventName.Id(start.AddHours(1), "hall"), day = EventName.Folder(id, "hall"),
            folder = _folder.File($"events/{day}"), secret = _folder.File("secret.mp4", "secret");
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, $"{id}.mp4"), "clip");
        File.WriteAllText(Path.Combine(folder, $"{other}.mp4"), "clip of another");
        File.WriteAllText(Path.Combine(folder, "notes.mp4"), "notes");
        File.CreateSymbolicLink(Path.Combine(folder, $"{id}.2.mp4"), secret);
        string[] own = [$"{day}/{id}.mp4"], others =
            [secret, "../secret.mp4", $"{day}/../../../../secret.mp4", $"{day}/{other}.mp4", $"{day}/notes.mp4", $"{day}/{id}.2.mp4", ""];
        EventEnded ended = new(start, id, "hall", start, EndReason.Over)
        {
            Label = "violent", Start = start, Peak = 1, PeakTime = start, Clips = [.. others, .. own], Snapshot = "../secret.mp4",
        };
        File.WriteAllBytes(Path.Combine(folder, $"{id}.json"), EventJson.Indented(ended));
        string none = Encoding.UTF8.GetString(EventJson.Bytes(ended with { Id = other, Clips = [] }));
        File.WriteAllText(Path.Combine(folder, $"{other}.json"), none.Replace("\"clips\":[]", "\"clips\":null", StringComparison.Ordinal));

        using ServerProcess server = Serve();
        using HttpClient client = new() { BaseAddress = server.Url };
        string clips = $"/api/cameras/events/{id}/clips/";
        for (int number = 0; number <= others.Length; number++)
        {
            HttpResponseMessage answer = await client.GetAsync($"{clips}{number}");
            (answer.StatusCode, answer.IsSuccessStatusCode ? await answer.Content.ReadAsStringAsync() : "").ShouldBe(
                number == 0 ? (HttpStatusCode.OK, "clip") : (HttpStatusCode.NotFound, ""));
        }

        (await client.GetAsync($"/api/cameras/events/{id}/picture.png")).StatusCode.ShouldBe(HttpStatusCode.NotFound);
        (await client.GetAsync("/api/cameras/events")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    /// <summary>A camera that is a file of four seconds, which is an event, and one that is away.</summary>
    private ServerProcess Serve()
    {
        string file = _folder.File("hall.mp4");
        if (!File.Exists(file))
        {
            using var writer = new VideoWriter(file, new VideoWriterOptions { Width = 128, Height = 96 });
            byte[] rgb = new byte[writer.FrameBytes];
            for (int frame = 0; frame < 100; frame++)
            {
                for (int i = 0; i < rgb.Length; i++)
                {
                    rgb[i] = (byte)((i / 3 % 128 * 5) + (frame * 9));
                }

                writer.AddFrame(rgb);
            }

            writer.Close();
            File.WriteAllText(_folder.File("cameras.csv"),
                $"name,address,threshold\nhall,{file},0\ngate,rtsp://guard:s3cret@127.0.0.1:1/live,\n");
        }

        return ServerProcess.StartIn(_folder.Path, _folder.Path, [], "bundled", "--cameras", _folder.File("cameras.csv"),
            "--window", "1", "--stride", "0.5", "--events", "events");
    }
}
