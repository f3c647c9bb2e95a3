using System.Diagnostics;
using System.Text;

namespace CudaTrainer.Cli.Tests;

/// <summary>Pages in headless Chromium.</summary>
internal sealed class Browser : IDisposable
{
    private static readonly string? s_program =
        new[] { "chromium", "chromium-browser", "google-chrome", "google-chrome-stable" }.Select(name => Path.Combine("/usr/bin", name))
            .FirstOrDefault(File.Exists);

    private readonly TemporaryFolder _profile = new();

    /// <summary>Skips the test where there is no browser.</summary>
    public Browser() => Assert.SkipWhen(s_program is null, "Chromium is not installed");

    /// <summary>Loads a page.</summary>
    /// <returns>The document after its scripts have run, and what the browser has logged.</returns>
    public (string Page, string Log) Load(string url, int width = 1200)
    {
        ProcessStartInfo start = new(
            s_program!,
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                $"--window-size={width},900", $"--user-data-dir={_profile.Path}", "--enable-logging=stderr",
                "--virtual-time-budget=8000", "--dump-dom", url,
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        StringBuilder log = new();
        process.ErrorDataReceived += (_, line) => log.AppendLine(line.Data);
        process.BeginErrorReadLine();
        string page = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (page, log.ToString());
    }

    public void Dispose() => _profile.Dispose();
}
