using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record CacheClearOptions
{
    [Setting(SettingGroup.Data, "The feature cache", Placeholder = "DIR", Kind = "folder")]
    public string CacheDir { get; init; } = new FeatureOptions().CacheDir;

    [Setting(SettingGroup.Data,
        "Only what the stored splits do not need: leftovers, and features of other kinds that were put aside or not finished")]
    public bool Stale { get; init; }
}

/// <summary>Removes the feature cache's own files.</summary>
internal sealed class CacheClearCommand : CliCommand<CacheClearOptions>
{
    public override string Name => "cache clear";

    public override string Summary => "Removes the feature cache's files, and never anyone else's.";

    public override IReadOnlyList<string> Usages => ["[--cache-dir DIR] [--stale]"];

    protected override int Run(CacheClearOptions options, IReadOnlyList<string> arguments, Terminal terminal)
    {
        CacheClearing clearing = CacheMaintenance.Clear(options.CacheDir, options.Stale);
        terminal.Output.WriteLine($"{clearing.Removed.Count} files removed, {MetricText.Size(clearing.Bytes)} freed.");
        foreach (IgnoredFile kept in clearing.Kept)
        {
            terminal.WriteWarning($"{kept.RelativePath} was left alone: {kept.Reason}");
        }

        return ExitCode.Ok;
    }
}
