using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Demo;

internal sealed record DemoOptions
{
    [Setting(SettingGroup.Output, "Where everything goes; an earlier demo there is replaced, anything else is left alone",
        Placeholder = "DIR", Kind = "folder")]
    public string Output { get; init; } = "./demo";

    [Setting(SettingGroup.Data, "Labelled clips", AtLeast = 12, AtMost = 2000)]
    public int Clips { get; init; } = 200;

    [Setting(SettingGroup.Precision, "Compute threads, 0 = one per core", AtLeast = 0, AtMost = 1024)]
    public int Threads { get; init; }

    [Setting(SettingGroup.Precision, "Seed of the clips and of the training", AtLeast = 0)]
    public int Seed { get; init; } = 42;

    [Setting(SettingGroup.Output, "Draw the clips and stop")]
    public bool ClipsOnly { get; init; }

    [Setting(SettingGroup.Data, "A folder for each activity, such as kicking and hug, so that there are twelve classes; needs {ClipsOnly}")]
    public bool Activities { get; init; }
}

/// <summary>The whole way, without any data: clips are drawn, trained on and predicted.</summary>
internal sealed class DemoCommand : CliCommand<DemoOptions>
{
    public override string Name => "demo";

    public override string Summary =>
        "Draws a small labelled set of clips, trains on it as train does, and predicts clips it has not seen.";

    public override IReadOnlyList<string> Usages => ["[--output DIR]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Two drawn figures fight, or walk, hug and dance, in videos of many sizes, frame rates and codecs; some files are broken on " +
            "purpose. It takes half a minute on two cores and needs no data and no network.",
    ];

    protected override IEnumerable<OptionProblem> Validate(DemoOptions options) => options is { Activities: true, ClipsOnly: false }
        ? [new(nameof(options.Activities), $"needs {SettingName.Of(nameof(options.ClipsOnly))}: the demo itself is of two classes")]
        : [];

    protected override int Run(DemoOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (presenter, stop) => new DemoRun(options, terminal, presenter).Run(stop));
}
