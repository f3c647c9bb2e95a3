using System.Text.RegularExpressions;
using CudaTrainer.Serve;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>Several videos at once, with scripts and without.</summary>
public sealed class ServeListTests
{
    [Fact]
    public async Task Several_videos_are_sent_listed_opened_and_deleted_and_outlive_a_reload()
    {
        await using Browser browser = await Browser.Start();
        using ServeHost host = new();
        IPage page = await browser.Open(host.Url.ToString());
        await Expect(page.Locator("#history")).ToBeHiddenAsync();

        await page.Locator("#file").SetInputFilesAsync([File("one.mp4"), File("<b>two.mp4"), File("three.mp4"), File("empty.mp4", 0)]);

        await Expect(page.GetByRole(AriaRole.Alert)).ToHaveTextAsync("“empty.mp4” is empty.");
        ILocator rows = page.Locator("#list li");
        await Expect(rows).ToHaveCountAsync(3);
        await Expect(rows.Filter(new() { HasText = "number" })).ToHaveCountAsync(3);
        host.Answer();
        await Expect(Row("one.mp4")).ToContainTextAsync("90 % violent");
        await Expect(page.Locator("#violent")).ToHaveTextAsync("90 %");
        await Expect(Row("<b>two.mp4")).ToContainTextAsync("number 1 in line");

        // The one that is shown is marked; the keyboard opens another.
        await Expect(Row("one.mp4").GetByRole(AriaRole.Button).First).ToHaveAttributeAsync("aria-current", "true");
        host.Answer();
        await Row("<b>two.mp4").GetByRole(AriaRole.Button).First.FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#name")).ToHaveTextAsync("<b>two.mp4");

        // A second browser sees nothing of it; the first one sees it again.
        IPage other = await browser.Open(host.Url.ToString());
        await Expect(other.Locator("#facts")).ToContainTextAsync("Model");
        await Expect(other.Locator("#history")).ToBeHiddenAsync();
        await page.ReloadAsync();
        await Expect(rows).ToHaveCountAsync(3);
        await Expect(page.Locator("#name")).ToHaveTextAsync("<b>two.mp4");
        await Expect(Row("<b>two.mp4").GetByRole(AriaRole.Button).First).ToHaveAttributeAsync("aria-current", "true");

        // Newest first.
        await Expect(rows.First).ToContainTextAsync("three.mp4");
        host.Answer();
        await Expect(Row("three.mp4")).ToContainTextAsync("90 % violent");
        await page.GetByRole(AriaRole.Button, new() { Name = "Delete <b>two.mp4" }).ClickAsync();
        await Expect(rows).ToHaveCountAsync(2);
        await Expect(page.Locator("#result")).ToBeHiddenAsync();
        await page.ReloadAsync();
        await Expect(rows).ToHaveCountAsync(2);
        browser.Complaints.ShouldBeEmpty();

        ILocator Row(string name) => rows.Filter(new() { HasText = name });
    }

    [Fact]
    public async Task A_full_queue_is_waited_for()
    {
        await using Browser browser = await Browser.Start();
        using ServeHost host = new(new ServeOptions { Queue = 0 });
        IPage page = await browser.Open(host.Url.ToString());

        await page.Locator("#file").SetInputFilesAsync([File("one.mp4"), File("two.mp4")]);
        await Expect(page.Locator("#list li").Filter(new() { HasText = "The queue is full" })).ToHaveCountAsync(1);
        host.Answer();

        await Expect(page.Locator("#list li").Filter(new() { HasText = "number 1 in line" })).ToHaveCountAsync(1);
        host.Answer();
        await Expect(page.Locator("#list .done")).ToHaveCountAsync(2);
        browser.Complaints.ShouldAllBe(complaint => complaint.Contains("503"));
    }

    [Theory]
    [InlineData(320)]
    [InlineData(1200)]
    public async Task Nothing_is_wider_than_the_window(int width)
    {
        await using Browser browser = await Browser.Start();
        using TemporaryFolder folder = new();
        RunFolderWriter run = new(folder.Path);
        run.WriteConfig(epochs: 9);
        run.WriteHistory(epochs: 4);
        using ServeHost host = new(hasTokens: true, run: folder.Path);
        IPage page = await browser.Open(host.Url.ToString(), width);
        await RequireFit();
        await page.GetByLabel("Token").FillAsync(ServeHost.Token);
        await page.Keyboard.PressAsync("Enter");
        await page.Locator("#file").SetInputFilesAsync([File(new string('w', 120) + ".mp4"), File("two.mp4")]);
        await Expect(page.Locator("#list li").Filter(new() { HasText = "in line" })).ToHaveCountAsync(2);
        host.Answer();
        await Expect(page.Locator("#chart svg")).ToBeVisibleAsync();
        await RequireFit();
        await page.GetByRole(AriaRole.Link, new() { Name = "Run" }).ClickAsync();
        await Expect(page.Locator(".chart")).ToHaveCountAsync(4);
        await RequireFit();

        async Task RequireFit() =>
            (await page.EvaluateAsync<int>("document.documentElement.scrollWidth")).ShouldBeLessThanOrEqualTo(width);
    }

    [Fact]
    public async Task Without_scripts_a_form_sends_a_video_and_pages_show_the_rest()
    {
        await using Browser browser = await Browser.Start();
        using ServeHost host = new();
        IPage page = await browser.Open(host.Url.ToString(), hasScripts: false);

        // Nothing was chosen.
        await page.GetByRole(AriaRole.Button, new() { Name = "Upload the chosen video" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("it has no file");
        await page.GetByRole(AriaRole.Link, new() { Name = "Back to the start" }).ClickAsync();
        await page.Locator("#file").SetInputFilesAsync(File("<i>a.mp4"));
        await page.GetByRole(AriaRole.Button, new() { Name = "Upload the chosen video" }).ClickAsync();
        await Expect(page.GetByText("Waiting: number 1 in line")).ToBeVisibleAsync();
        host.Answer();

        // The page loads itself anew.
        await Expect(page.Locator(".figure")).ToContainTextAsync("90.0 %");
        await Expect(page.GetByText("<i>a.mp4")).ToBeVisibleAsync();
        await Expect(page.Locator(".chart path.line")).ToHaveCountAsync(2 + 2);
        await Expect(page.GetByText(new Regex("0:02.0 – 0:05.0"))).ToBeVisibleAsync();
        ILocator frames = page.GetByRole(AriaRole.Img, new() { NameRegex = new Regex("^Frame at ") });
        await Expect(frames).ToHaveCountAsync(2);

        await page.GetByRole(AriaRole.Link, new() { Name = "Your videos" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "<i>a.mp4" })).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Delete" }).ClickAsync();
        await Expect(page.GetByText("There are none")).ToBeVisibleAsync();
        browser.Complaints.ShouldAllBe(complaint => complaint.Contains("400"));
    }

    private static FilePayload File(string name, int bytes = 3) => new() { Name = name, MimeType = "video/mp4", Buffer = new byte[bytes] };
}
