using System.Net;
using System.Text.Json;
using CudaTrainer.Formats;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>A training run on the page while it is written.</summary>
public sealed class ServeRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly RunFolderWriter _run;

    public ServeRunTests() => _run = new RunFolderWriter(_folder.Path);

    [Fact]
    public async Task Curves_grow_while_training_writes()
    {
        await using Browser browser = await Browser.Start();
        using ServeHost host = new(run: _folder.Path);
        IPage page = await browser.Open($"{host.Url}run");
        await Expect(page.GetByText("There is no training run in the folder.")).ToBeVisibleAsync();

        _run.WriteConfig(epochs: 30);
        using (FolderLock held = _run.Hold())
        {
            await Expect(page.Locator("#run .tag")).ToHaveTextAsync("starting");
            _run.WriteHistory(epochs: 2);
            await Expect(page.Locator("#epoch")).ToContainTextAsync("Epoch 2 of 30 · at most ");
            await Expect(page.Locator(".chart")).ToHaveCountAsync(4);
            await Expect(Points()).ToHaveCountAsync(2);

            _run.WriteHistory(epochs: 5);
            await Expect(Points()).ToHaveCountAsync(5);
            await Expect(page).ToHaveTitleAsync("Epoch 5 of 30 – Training run – CudaTrainer");
            await Expect(page.Locator("#run .tag")).ToHaveTextAsync("running");

            // What cannot be read at the moment does not take away what could be.
            File.WriteAllText(_run.History, "epoch,epoch\n");
            await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("training_history.csv");
            await Expect(Points()).ToHaveCountAsync(5);
            _run.WriteHistory(epochs: 6);
            await Expect(page.GetByRole(AriaRole.Alert)).ToHaveCountAsync(0);
        }

        await Expect(page.Locator("#run .tag")).ToHaveTextAsync("stopped");
        _run.WriteResults(bestEpoch: 4);
        await Expect(page.Locator("#epoch")).ToContainTextAsync("best: epoch 4");
        await Expect(page.Locator(".chart .mark")).ToHaveCountAsync(4);
        browser.Complaints.ShouldBeEmpty();

        ILocator Points() => page.Locator(".chart").First.Locator("svg[role=img] circle.p");
    }

    [Fact]
    public async Task Without_scripts_the_page_shows_the_same()
    {
        _run.WriteConfig(epochs: 30);
        _run.WriteHistory(epochs: 3);
        await using Browser browser = await Browser.Start();
        using ServeHost host = new(run: _folder.Path);

        IPage page = await browser.Open($"{host.Url}run", hasScripts: false);

        await Expect(page.Locator(".chart")).ToHaveCountAsync(4);
        await Expect(page.Locator("#epoch")).ToHaveTextAsync("Epoch 3 of 30 · nobody trains at the moment");
        (await page.ContentAsync()).ShouldContain("http-equiv=\"refresh\"");
    }

    [Fact]
    public void The_numbers_are_those_of_the_history()
    {
        _run.WriteConfig(epochs: 30);
        _run.WriteHistory(epochs: 3);
        using ServeHost host = new(run: _folder.Path);

        JsonElement run = ServeHost.Json(host.Client().Ask("/api/run"));

        (run.GetProperty("state").GetString(), run.GetProperty("epoch").GetInt32(), run.GetProperty("epochs").GetInt32())
            .ShouldBe(("stopped", 3, 30));
        JsonElement last = run.GetProperty("history")[2];
        last.GetProperty("val_balanced_accuracy").GetDouble().ShouldBe(0.53);
        last.GetProperty("loss").GetDouble().ShouldBe(1.0 / 3);
        last.GetProperty("val_auc").ValueKind.ShouldBe(JsonValueKind.Null, "NaN in the file");
        run.ToString().ShouldNotContain(_folder.Path);
    }

    [Fact]
    public void Without_a_folder_there_is_no_run_and_no_way_to_it()
    {
        using ServeHost host = new();
        using HttpClient client = host.Client();

        foreach (string path in (string[])["/run", "/api/run"])
        {
            ServeHost.Refusal(client.Ask(path)).ShouldBe((HttpStatusCode.NotFound, "no_run"));
        }

        ServeHost.Text(client.Ask("/")).ShouldNotContain("href=\"/run\"");
    }

    public void Dispose() => _folder.Dispose();
}
