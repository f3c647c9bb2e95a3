using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>The page in a browser.</summary>
[Collection(nameof(ServeCollection))]
public sealed class ServePageTests(ServeFixture fixture) : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    [Fact]
    public async Task A_browser_shows_the_answer_without_a_complaint()
    {
        await using Browser browser = await Browser.Start();
        using var server = ServerProcess.Start(fixture, _temporary.Path, "--window", "0.5", "--threshold", "0.01");
        string id = server.Upload(fixture.Clip, "<img src=x onerror=alert(1)>.mp4");
        JsonElement result = server.WaitFor(id, "done").GetProperty("result");

        IPage start = await browser.Open(server.Url.ToString());
        await Expect(start.GetByText("Drop a video here")).ToBeVisibleAsync();
        await Expect(start.Locator("#limit")).ToContainTextAsync("Up to 500 MB");
        await Expect(start.GetByText("A person decides.")).ToBeVisibleAsync();
        await Expect(start.Locator("#result")).ToBeHiddenAsync();

        IPage page = await browser.Open($"{server.Url}?id={id}");
        await Expect(page.Locator("#result")).ToBeVisibleAsync();
        await Expect(page.GetByRole(AriaRole.Alert)).ToBeHiddenAsync();
        double violent = result.GetProperty("violent").GetDouble();
        await Expect(page.Locator("#violent")).ToHaveTextAsync((100 * violent).ToString("0", CultureInfo.InvariantCulture) + " %");

        // The line has a step for each window, and lies where the numbers say.
        string? line = await page.Locator("#chart path.line").First.GetAttributeAsync("d");
        line!.Count(letter => letter == 'H').ShouldBe(result.GetProperty("windows").GetArrayLength());
        await Expect(page.Locator("#chart .threshold")).ToHaveCountAsync(1);
        await Expect(page.Locator("#chart .event")).ToHaveCountAsync(result.GetProperty("events").GetArrayLength());
        ILocator frames = page.GetByRole(AriaRole.Img, new() { NameRegex = new Regex("^Frame at ") });
        await Expect(frames).ToHaveCountAsync(result.GetProperty("frames").GetArrayLength());
        (await frames.EvaluateAllAsync<bool>("frames => frames.every(frame => frame.complete && frame.naturalWidth > 0)")).ShouldBeTrue();
        (await page.Locator("#chart .attention.cell").CountAsync()).ShouldBeGreaterThan(50);

        // The name is text.
        await Expect(page.Locator("#name")).ToHaveTextAsync("<img src=x onerror=alert(1)>.mp4");
        browser.Complaints.ShouldBeEmpty();

        IPage gone = await browser.Open($"{server.Url}?id={new string('0', 32)}");
        await Expect(gone.GetByRole(AriaRole.Alert)).ToContainTextAsync("There is no such video");
    }

    /// <summary>A video is chosen, looked at with the keyboard alone, and deleted.</summary>
    [Fact]
    public async Task A_video_is_uploaded_walked_through_and_deleted()
    {
        await using Browser browser = await Browser.Start();
        using var server = ServerProcess.Start(fixture, _temporary.Path, ServeFixture.Windows);
        IPage page = await browser.Open(server.Url.ToString());

        await page.Locator("#file").SetInputFilesAsync(fixture.Clip);
        ILocator chart = page.GetByRole(AriaRole.Slider, new() { Name = "Probability of violence over time" });
        await Expect(chart).ToBeVisibleAsync();
        await Expect(page.GetByRole(AriaRole.Status).First).ToContainTextAsync("violent");
        string id = new Uri(page.Url).Query["?id=".Length..];
        JsonElement windows = server.WaitFor(id, "done").GetProperty("result").GetProperty("windows");
        int last = windows.GetArrayLength() - 1;
        await Expect(chart).ToHaveAttributeAsync("aria-valuemax", $"{last}");

        await chart.FocusAsync();
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(chart).ToHaveAttributeAsync("aria-valuetext", new Regex("^0:00.0 to 0:00.6, [0-9.]+ %$"));
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(chart).ToHaveAttributeAsync("aria-valuenow", "1");
        await page.Keyboard.PressAsync("End");
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(chart).ToHaveAttributeAsync("aria-valuenow", $"{last}");
        await page.Keyboard.PressAsync("Escape");
        await Expect(chart).ToHaveAttributeAsync("aria-valuetext", new Regex("No moment chosen"));

        await page.GetByText("All windows as a table").ClickAsync();
        await Expect(page.Locator("#windows tr")).ToHaveCountAsync(last + 1);
        await page.GetByRole(AriaRole.Button, new() { NameRegex = new Regex("^0:.* up to ") }).First.ClickAsync();
        await Expect(chart).ToHaveAttributeAsync("aria-valuetext", new Regex(" to "));
        browser.Complaints.ShouldBeEmpty();

        await page.GetByRole(AriaRole.Button, new() { Name = "Delete from the server" }).ClickAsync();
        await Expect(page.Locator("#result")).ToBeHiddenAsync();
        await Expect(page.Locator("#file")).ToBeFocusedAsync();
        server.Get($"/api/videos/{id}").Status.ShouldBe(HttpStatusCode.NotFound);

        await page.Locator("#file").SetInputFilesAsync(new FilePayload { Name = "nothing.mp4", MimeType = "video/mp4", Buffer = [] });
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("“nothing.mp4” is empty.");
    }

    [Fact]
    public void The_page_is_one_document_that_needs_nothing_else()
    {
        using var server = ServerProcess.Start(fixture, _temporary.Path);
        using HttpResponseMessage response = server.Send(HttpMethod.Get, "/");
        string html = server.Text("/");

        response.Content.Headers.ContentType!.ToString().ShouldBe("text/html; charset=utf-8");
        // Links lead to pages of this server, and load nothing.
        Regex.Matches(html, "(?<!<a )(?:src|href)=\"([^\"]*)\"").Select(match => match.Groups[1].Value)
            .ShouldAllBe(address => address.StartsWith("data:"));
        Regex.Matches(html, "<a href=\"([^\"]*)\"").Select(match => match.Groups[1].Value).ShouldAllBe(address => address.StartsWith('/'));
        // The namespaces of SVG are names, not addresses.
        Regex.Replace(html, "http://www.w3.org/2000/svg", "").ShouldNotMatch("https?://");
        html.ShouldNotMatch("<[^>]+ on[a-z]+=");
        html.ShouldNotMatch("<[^>]+ style=");

        // The policy allows exactly the style and the script that are in it.
        string policy = response.Headers.GetValues("Content-Security-Policy").Single();
        foreach (string part in (string[])["style", "script"])
        {
            string text = Regex.Match(html, $"<{part}>(.*?)</{part}>", RegexOptions.Singleline).Groups[1].Value;
            byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(text));
            policy.ShouldContain($"{part}-src 'sha256-{Convert.ToBase64String(hash)}'");
        }

        policy.ShouldNotContain("unsafe");
    }

    public void Dispose() => _temporary.Dispose();
}
