using System.Net;
using System.Text.Json;
using CudaTrainer.Engine;
using CudaTrainer.Serve;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>Who may ask, and how often.</summary>
public sealed class ServeAccessTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("/api/health")]
    [InlineData("/api/videos")]
    [InlineData("/api/videos/0123456789abcdef0123456789abcdef")]
    [InlineData("/api/openapi.json")]
    [InlineData("/metrics")]
    [InlineData("/nothing/here")]
    public void Programs_need_a_token(string path)
    {
        using ServeHost host = new(hasTokens: true);

        foreach (string? token in (string?[])[null, "wrong-token-of-letters", ServeHost.Token[..^1], $"{ServeHost.Token} {ServeHost.Token}"])
        {
            using HttpClient stranger = host.Client();
            if (token is not null)
            {
                stranger.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Bearer {token}");
            }

            HttpResponseMessage refused = stranger.Ask(path);
            refused.Headers.WwwAuthenticate.ToString().ShouldBe("Bearer");
            ServeHost.Refusal(refused).ShouldBe((HttpStatusCode.Unauthorized, "no_access"));
        }

        foreach (string token in (string[])[ServeHost.Token, ServeHost.OtherToken])
        {
            host.Client(token).Ask(path).StatusCode.ShouldBeOneOf(HttpStatusCode.OK, HttpStatusCode.NotFound);
        }
    }

    [Fact]
    public void An_upload_without_a_token_takes_no_place_and_leaves_no_file()
    {
        using ServeHost host = new(hasTokens: true);

        ServeHost.Refusal(host.Client().Send(ServeHost.Upload())).ShouldBe((HttpStatusCode.Unauthorized, "no_access"));
        host.Queue.Facts.ShouldBe(new QueueFacts(0, 0));

        host.Client(ServeHost.Token).Send(ServeHost.Upload()).StatusCode.ShouldBe(HttpStatusCode.Accepted);
    }

    [Fact]
    public void Probes_are_open_and_tell_nothing_but_that()
    {
        using ServeHost host = new(hasTokens: true);
        using HttpClient stranger = host.Client();

        foreach (string probe in (string[])["live", "ready"])
        {
            HttpResponseMessage answer = stranger.Ask($"/healthz/{probe}");
            answer.StatusCode.ShouldBe(HttpStatusCode.OK);
            ServeHost.Json(answer).EnumerateObject().Select(property => $"{property.Name}: {property.Value}").ShouldBe(["status: ok"]);
        }

        host.Stop();
        ServeHost.Refusal(stranger.Ask("/healthz/ready")).ShouldBe((HttpStatusCode.ServiceUnavailable, "stopping"));
        stranger.Ask("/healthz/live").StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public void Counters_are_open_where_that_is_asked_for()
    {
        using ServeHost host = new(new ServeOptions { OpenMetrics = true }, hasTokens: true);

        host.Client().Ask("/metrics").StatusCode.ShouldBe(HttpStatusCode.OK);
        host.Client().Ask("/api/health").StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public void An_address_that_guesses_is_not_heard_for_a_while_even_with_the_right_token()
    {
        using ServeHost host = new(hasTokens: true);
        using HttpClient signedIn = host.Client(), guesser = host.Client("wrong-token-of-letters"), form = host.Client();
        Login(signedIn, ServeHost.Token).StatusCode.ShouldBe(HttpStatusCode.Redirect);

        for (int guess = 0; guess < AccessTokens.MostFailures; guess++)
        {
            HttpResponseMessage wrong = guess % 2 == 0 ? guesser.Ask("/api/health") : Login(form, "wrong-token-of-letters");
            wrong.StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        }

        foreach (HttpResponseMessage unheard in (HttpResponseMessage[])[
            guesser.Ask("/api/health"), host.Client(ServeHost.Token).Ask("/api/health"),
            Login(form, ServeHost.Token)])
        {
            unheard.Headers.RetryAfter!.Delta!.Value.TotalSeconds.ShouldBeGreaterThan(0);
            ServeHost.Refusal(unheard).ShouldBe((HttpStatusCode.TooManyRequests, "too_many"));
        }

        // Who has signed in before stays so.
        signedIn.Ask("/api/health").StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public void An_address_may_send_so_many_videos_in_a_minute()
    {
        using ServeHost host = new(new ServeOptions { UploadsPerMinute = 2 });
        using HttpClient client = host.Client();
        client.Send(ServeHost.Upload()).StatusCode.ShouldBe(HttpStatusCode.Accepted);
        client.Send(ServeHost.Upload()).StatusCode.ShouldBe(HttpStatusCode.Accepted);

        HttpResponseMessage refused = host.Client().Send(ServeHost.Upload());

        refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds.ShouldBeInRange(1, 60);
        ServeHost.Refusal(refused).ShouldBe((HttpStatusCode.TooManyRequests, "too_many"));
        client.Ask("/api/videos").StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public void Everybody_lists_his_own_videos_only()
    {
        using ServeHost host = new(new ServeOptions { Queue = 20 }, hasTokens: true);
        using HttpClient one = host.Client(ServeHost.Token), other = host.Client(ServeHost.OtherToken), browser = host.Client(),
            second = host.Client();
        Login(browser, ServeHost.Token);
        Login(second, ServeHost.Token);
        foreach ((HttpClient client, string name) in ((HttpClient, string)[])[(one, "one"), (other, "other"), (browser, "browser"), (one, "two")])
        {
            client.Send(ServeHost.Upload(name)).StatusCode.ShouldBe(HttpStatusCode.Accepted);
        }

        host.Answer();

        Names(one).ShouldBe(["two", "one"]);
        Names(other).ShouldBe(["other"]);
        Names(browser).ShouldBe(["browser"]);
        Names(second).ShouldBeEmpty("another browser with the same token");
        JsonElement done = ServeHost.Json(one.Ask("/api/videos")).GetProperty("videos")[1];
        (done.GetProperty("state").GetString(), done.GetProperty("label").GetString(), done.GetProperty("score").GetDouble())
            .ShouldBe(("done", "violent", 0.9));

        // Whoever was given the address of an answer may look at it.
        other.Ask($"/api/videos/{done.GetProperty("id").GetString()}").StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public void Without_tokens_browsers_are_told_apart_and_programs_list_nothing()
    {
        using ServeHost host = new();
        using HttpClient browser = host.Client(), other = host.Client(), program = host.Client();
        HttpResponseMessage page = browser.Ask("/");
        string cookie = page.Headers.GetValues("Set-Cookie").ShouldHaveSingleItem();
        cookie.ShouldContain("httponly");
        cookie.ShouldContain("samesite=strict");
        other.Ask("/").Dispose();
        browser.Send(ServeHost.Upload("mine")).StatusCode.ShouldBe(HttpStatusCode.Accepted);
        program.Send(ServeHost.Upload("program's")).StatusCode.ShouldBe(HttpStatusCode.Accepted);

        Names(browser).ShouldBe(["mine"]);
        Names(other).ShouldBeEmpty();
        Names(program).ShouldBeEmpty();
        browser.Ask("/").Headers.Contains("Set-Cookie").ShouldBeFalse("it has one already");
    }

    [Theory]
    [InlineData(null, "cannot be read")]
    [InlineData("", "has no token in it")]
    [InlineData("# nothing\n\n", "has no token in it")]
    [InlineData("a-token-of-twenty-letters\nshort\n", "line 2 of '")]
    [InlineData("a token with spaces in it", "line 1 of '")]
    [InlineData("a-token-with-\u0007-control-letters", "line 1 of '")]
    public void A_file_without_good_tokens_is_refused_and_not_repeated(string? content, string expected)
    {
        string file = _folder.File("tokens");
        if (content is not null)
        {
            File.WriteAllText(file, content);
        }

        RunException refused = Should.Throw<RunException>(() => AccessTokens.Load(file));

        refused.Message.ShouldContain(expected);
        refused.Message.ShouldContain(file);
        refused.Hint!.ShouldContain("openssl rand -hex 32");
        (refused.Message + refused.Hint).ShouldNotContain("short\n");
        (refused.Message + refused.Hint).ShouldNotContain("control-letters");
    }

    [Fact]
    public void Beyond_this_machine_the_server_asks_who_is_there_or_is_told_not_to()
    {
        foreach (string host in (string[])["0.0.0.0", "::", "192.168.0.1"])
        {
            CommandOutcome refused = CommandRunner.RunInside("serve", "--host", host);
            refused.ExitCode.ShouldBe(2);
            refused.ErrorLines[0].ShouldBe($"error: --host: {host} lets other machines use the server, and nothing asks who they are; " +
                "give --token FILE with a token in it, or --open-access where everybody may");
        }

        CommandOutcome none = CommandRunner.RunInside("serve", "--host", "0.0.0.0", "--token", _folder.File("none"));
        none.ExitCode.ShouldBe(1);
        none.Error.ShouldContain("cannot be read");
    }

    [Fact]
    public async Task A_person_signs_in_and_out()
    {
        await using Browser browser = await Browser.Start();
        using ServeHost host = new(hasTokens: true);

        // Any page leads to the form.
        IPage page = await browser.Open($"{host.Url}videos");
        await Expect(page).ToHaveTitleAsync("Sign in – CudaTrainer");
        await page.GetByLabel("Token").FillAsync("wrong-token-of-letters");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("not one of this server's");
        await page.GetByRole(AriaRole.Link, new() { Name = "Back to the start" }).ClickAsync();
        await page.GetByLabel("Token").FillAsync(ServeHost.Token);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();

        await Expect(page.GetByText("Drop a video here")).ToBeVisibleAsync();
        await Expect(page.Locator("#facts")).ToContainTextAsync("Model linear");
        (await page.EvaluateAsync<string>("document.cookie")).ShouldBeEmpty("scripts cannot read it");
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();

        await Expect(page).ToHaveTitleAsync("Sign in – CudaTrainer");
        await page.GotoAsync(host.Url.ToString());
        await Expect(page).ToHaveTitleAsync("Sign in – CudaTrainer");
        browser.Complaints.ShouldAllBe(complaint => complaint.Contains("401"));
    }

    public void Dispose() => _folder.Dispose();

    private static HttpResponseMessage Login(HttpClient client, string token) =>
        client.PostAsync("/login", new FormUrlEncodedContent([KeyValuePair.Create("token", token)])).Result;

    private static string[] Names(HttpClient client) =>
        [.. ServeHost.Json(client.Ask("/api/videos")).GetProperty("videos").EnumerateArray()
            .Select(video => video.GetProperty("name").GetString()!)];
}
