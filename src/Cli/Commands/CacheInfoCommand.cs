using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record CacheInfoOptions
{
    [Setting(SettingGroup.Data, "The feature cache", Placeholder = "DIR", Kind = "folder")]
    public string CacheDir { get; init; } = new FeatureOptions().CacheDir;

    [Setting(SettingGroup.Output, "One JSON object on standard output")]
    public bool Json { get; init; }
}

/// <summary>What the feature cache holds.</summary>
internal sealed class CacheInfoCommand : CliCommand<CacheInfoOptions>
{
    public override string Name => "cache info";

    public override string Summary => "Says what the feature cache holds and how its features were made.";

    public override IReadOnlyList<string> Usages => ["[--cache-dir DIR]"];

    protected override int Run(CacheInfoOptions options, IReadOnlyList<string> arguments, Terminal terminal)
    {
        CacheInfo info = CacheInspector.Info(options.CacheDir);
        if (options.Json)
        {
            terminal.WriteJson(info);
        }
        else
        {
            Write(info, terminal);
        }

        return ExitCode.Ok;
    }

    private static void Write(CacheInfo info, Terminal terminal)
    {
        TextWriter output = terminal.Output;
        output.WriteLine($"{info.Directory}: {MetricText.Size(info.Bytes)}");
        if (info.Splits.Count > 0)
        {
            TextTable table = new("split", ">clips", ">of them zeros", ">failed", ">size");
            foreach (CachedSplitInfo split in info.Splits)
            {
                table.Row(
                    split.Split.Name(),
                    MetricText.Count(split.Rows),
                    MetricText.Count(split.ZeroRows),
                    MetricText.Count(split.Failures),
                    MetricText.Size(split.Bytes));
            }

            output.WriteLine();
            table.Write(terminal.Results);
            output.WriteLine();
            foreach ((string name, string value) in info.Splits[0].Key)
            {
                output.WriteLine($"{name,-14} {value}");
            }
        }

        foreach (PartialExtractionInfo partial in info.Partial)
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                    $"Put aside or not finished: {partial.Rows} clips in {partial.Path} ({MetricText.Size(partial.Bytes)}); an extract " +
                        $"or train that wants them takes them from there."));
        }

        if (info.Writer is { } process)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Process {process} is writing to it."));
        }

        foreach (string problem in info.Problems)
        {
            terminal.WriteWarning(problem);
        }
    }
}
