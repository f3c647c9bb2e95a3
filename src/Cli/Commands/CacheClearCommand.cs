using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Options;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Data.Cache;

namespace CudaTrainer.Cli.Commands;

internal sealed record CacheClearOptions
{
    public string CacheDir { get; init; } = CacheOptions.DefaultFolder;

    public bool Stale { get; init; }
}

/// <summary>Removes the feature cache's own files.</summary>
internal sealed class CacheClearCommand : CliCommand<CacheClearOptions>
{
    public override string Name => "cache clear";

    public override string Summary => "Removes the feature cache's files, and never anyone else's.";

    public override IReadOnlyList<string> Usages => ["[--cache-dir DIR] [--stale]"];

    protected override OptionTable<CacheClearOptions> CreateTable() => new OptionTable<CacheClearOptions>(new CacheClearOptions())
        .Add("--cache-dir", OptionGroup.Data, CacheOptions.Folder, o => o.CacheDir, (o, v) => o with { CacheDir = v },
            CacheOptions.FolderDescription)
        .Add(
            "--stale", OptionGroup.Data, ValueTypes.Switch,
            o => o.Stale, (o, v) => o with { Stale = v },
            "Only what the stored splits do not need: leftovers, and unfinished extractions of other features");

    protected override int Run(CacheClearOptions options, IReadOnlyList<string> arguments, Terminal terminal)
    {
        var clearing = CacheMaintenance.Clear(options.CacheDir, options.Stale);
        terminal.Output.WriteLine($"{clearing.Removed.Count} files removed, {MetricText.Size(clearing.Bytes)} freed.");
        foreach (var kept in clearing.Kept)
        {
            terminal.WriteWarning($"{kept.RelativePath} was left alone: {kept.Reason}");
        }

        return ExitCode.Ok;
    }
}
