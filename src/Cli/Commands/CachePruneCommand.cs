using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Data.Cache;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record CachePruneOptions
{
    [Setting(SettingGroup.Data, "The feature cache", Placeholder = "DIR", Kind = "folder")]
    public string CacheDir { get; init; } = new FeatureOptions().CacheDir;

    [Setting(SettingGroup.Data, "Only what was put aside more than so many days ago", AtLeast = 0)]
    public double? OlderThan { get; init; }

    [Setting(SettingGroup.Data, "Only as much, the oldest first, as leaves so many megabytes", AtLeast = 0)]
    public double? MaxSize { get; init; }

    [Setting(SettingGroup.Data, "Only of the videos in this folder", Placeholder = "DIR", Kind = "folder")]
    public string? DatasetPath { get; init; }
}

/// <summary>Removes features that no stored split has.</summary>
internal sealed class CachePruneCommand : CliCommand<CachePruneOptions>
{
    public override string Name => "cache prune";

    public override string Summary => "Removes cached features of videos that are not in the dataset that was used last.";

    public override IReadOnlyList<string> Usages =>
        ["[--cache-dir DIR] [--older-than DAYS] [--max-size MB] [--dataset-path DIR]"];

    protected override int Run(CachePruneOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (_, stop) =>
        {
            CacheClearing pruned = CachePruning.Run(options.CacheDir, options.OlderThan, options.MaxSize, options.DatasetPath, stop);
            terminal.Output.WriteLine($"{pruned.Removed.Count} files removed, {MetricText.Size(pruned.Bytes)} freed.");
            return ExitCode.Ok;
        });
}
