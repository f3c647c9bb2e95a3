using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>The page in a browser.</summary>
[Collection(nameof(ServeCollection))]
public sealed class ServePageTests(ServeFixture fixture) : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    [Fact]
    public void A_browser_shows_the_answer_without_a_complaint()
    {
        using Browser browser = new();
        using var server = ServerProcess.Start(fixture, _temporary.Path, "--window", "0.5", "--threshold", "0.01");
        string id = server.Upload(fixture.Clip, "<img src=x onerror=alert(1)>.mp4");
        var result = server.WaitFor(id, "done").GetProperty("result");

        var (start, startLog) = browser.Load(server.Url.ToString());
        var (page, log) = browser.Load($"{server.Url}?id={id}");
        var (gone, _) = browser.Load($"{server.Url}?id={new string('0', 32)}");

        startLog.ShouldNotContain("CONSOLE");
        log.ShouldNotContain("CONSOLE");
        start.ShouldContain("Drop a video here");
        start.ShouldContain("Up to 500 MB");
        IsHidden(start, "result").ShouldBeTrue();
        start.ShouldContain("A person decides.");

        IsHidden(page, "result").ShouldBeFalse();
        IsHidden(page, "error").ShouldBeTrue();
        double violent = result.GetProperty("violent").GetDouble();
        Regex.Match(page, "<span id=\"violent\">([0-9.]+) %</span>")
            .Groups[1].Value.ShouldBe((100 * violent).ToString("0", CultureInfo.InvariantCulture));
        // The line has a step for each window, and lies where the numbers say.
        string line = Regex.Match(page, "<path class=\"line\" d=\"(M[^\"]+)\"").Groups[1].Value;
        line.Count(letter => letter == 'H').ShouldBe(result.GetProperty("windows").GetArrayLength());
        page.ShouldContain("class=\"threshold\"");
        Regex.Count(page, "<rect class=\"event\"").ShouldBe(result.GetProperty("events").GetArrayLength());
        Regex.Count(page, $"<img src=\"/api/videos/{id}/frames/[0-9]+.png\"").ShouldBe(result.GetProperty("frames").GetArrayLength());
        Regex.Count(page, "<rect class=\"attention cell\"").ShouldBeGreaterThan(50);

        // The name is text.
        page.ShouldContain("&lt;img src=x onerror=alert(1)&gt;.mp4");
        page.ShouldNotContain("<img src=\"x\"");

        IsHidden(gone, "error").ShouldBeFalse();
        gone.ShouldContain("There is no such video");
    }

    [Fact]
    public void The_page_is_one_document_that_needs_nothing_else()
    {
        using var server = ServerProcess.Start(fixture, _temporary.Path);
        using var response = server.Send(HttpMethod.Get, "/");
        string html = server.Text("/");

        response.Content.Headers.ContentType!.ToString().ShouldBe("text/html; charset=utf-8");
        Regex.Matches(html, "(?:src|href)=\"([^\"]*)\"").Select(match => match.Groups[1].Value)
            .ShouldAllBe(address => address.StartsWith("data:"));
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

    private static bool IsHidden(string page, string id) => Regex.Match(page, $"<[a-z]+ [^>]*id=\"{id}\"[^>]*>")
        .Value is { Length: > 0 } tag ? tag.Contains(" hidden") : throw new InvalidOperationException($"There is no '{id}'.");
}
