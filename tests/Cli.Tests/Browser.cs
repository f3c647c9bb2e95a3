using Microsoft.Playwright;

namespace CudaTrainer.Cli.Tests;

/// <summary>Debian's Chromium without a window, used as a person uses it.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private const string Program = "/usr/bin/chromium";

    /// <summary>Milliseconds that anything expected of a page may take; no test waits on purpose.</summary>
    private static readonly float Patience = (float)Serve.ServerProcess.Patience.TotalMilliseconds;

    private readonly IPlaywright _driver;
    private readonly IBrowser _browser;
    private readonly List<string> _complaints = [];

    private Browser(IPlaywright driver, IBrowser browser) => (_driver, _browser) = (driver, browser);

    /// <summary>What any page has complained of so far: errors and warnings of its scripts and policies, requests that failed.</summary>
    public IReadOnlyList<string> Complaints
    {
        get
        {
            lock (_complaints)
            {
                return [.. _complaints];
            }
        }
    }

    /// <summary>Skips the test where there is no browser.</summary>
    public static async Task<Browser> Start()
    {
        Assert.SkipUnless(File.Exists(Program), "Chromium is not installed (Debian: apt-get install chromium)");
        Assertions.SetDefaultExpectTimeout(Patience);
        IPlaywright driver = await Playwright.CreateAsync();
        return new Browser(driver, await driver.Chromium.LaunchAsync(new() { ExecutablePath = Program, Args = ["--no-sandbox"] }));
    }

    /// <summary>Loads a page, with cookies and a memory of its own.</summary>
    /// <param name="hasScripts">Whether the browser runs any.</param>
    public async Task<IPage> Open(string url, int width = 1200, bool hasScripts = true)
    {
        IPage page = await _browser.NewPageAsync(
            new() { ViewportSize = new() { Width = width, Height = 900 }, JavaScriptEnabled = hasScripts });
        page.SetDefaultTimeout(Patience);
        page.Console += (_, message) => Complain(message.Type is "error" or "warning", message.Text);
        page.PageError += (_, error) => Complain(true, error);
        page.RequestFailed += (_, request) => Complain(true, $"{request.Url}: {request.Failure}");
        await page.GotoAsync(url);
        return page;
    }

    public async ValueTask DisposeAsync()
    {
        await _browser.DisposeAsync();
        _driver.Dispose();
    }

    private void Complain(bool isOne, string text)
    {
        lock (_complaints)
        {
            _complaints.AddRange(isOne ? [text] : []);
        }
    }
}
