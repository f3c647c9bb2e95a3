using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Data.Cache;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record CacheVerifyOptions
{
    [Setting(SettingGroup.Data, "The feature cache", Placeholder = "DIR", Kind = "folder")]
    public string CacheDir { get; init; } = new FeatureOptions().CacheDir;

    [Setting(SettingGroup.Data, "Have the next extract or train make damaged features anew")]
    public bool Repair { get; init; }

    [Setting(SettingGroup.Output, "One JSON object on standard output")]
    public bool Json { get; init; }
}

/// <summary>Whether everything in the feature cache is as it was written.</summary>
internal sealed class CacheVerifyCommand : CliCommand<CacheVerifyOptions>
{
    public override string Name => "cache verify";

    public override string Summary => "Reads the whole feature cache and compares it with its checksums.";

    public override IReadOnlyList<string> Usages => ["[--cache-dir DIR] [--repair]"];

    public override IReadOnlyList<string> Notes => ["Exits with 1 if anything is damaged and was not marked for repair."];

    protected override int Run(CacheVerifyOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (presenter, stop) =>
        {
            CacheVerification verification = CacheInspector.Verify(
                options.CacheDir,
                (done, total) => presenter.Progress(new StageProgress("verify", done, total, "clips")),
                stop);
            presenter.CloseLine();
            int marked = options.Repair ? CacheMaintenance.MarkDamaged(options.CacheDir, stop) : 0;
            if (options.Json)
            {
                terminal.WriteJson(new { verification.Rows, verification.Bytes, verification.Problems, marked });
            }
            else
            {
                Write(verification, marked, terminal);
            }

            return verification.Problems.Count > marked ? ExitCode.Failed : ExitCode.Ok;
        });

    private static void Write(CacheVerification verification, int marked, Terminal terminal)
    {
        foreach (string problem in verification.Problems)
        {
            terminal.Output.WriteLine($"damaged: {problem}");
        }

        string verdict = verification.Problems.Count switch
        {
            0 => "nothing is damaged",
            1 => "1 problem",
            var count => string.Create(CultureInfo.InvariantCulture, $"{count} problems"),
        };
        terminal.Output.WriteLine($"{verification.Rows} clips, {MetricText.Size(verification.Bytes)} read: {verdict}.");
        if (marked > 0)
        {
            terminal.Output.WriteLine($"{marked} clips will be extracted again by the next extract or train.");
        }
    }
}
