using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Demo;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.Commands;

internal sealed record DemoOptions
{
    public string Output { get; init; } = "./demo";

    public int Clips { get; init; } = 200;

    public int Frames { get; init; } = 3;

    public int Epochs { get; init; } = 30;

    public int Threads { get; init; }

    public int Seed { get; init; } = 42;

    public bool ClipsOnly { get; init; }
}

/// <summary>The whole way, without any data: clips are drawn, trained on and predicted.</summary>
internal sealed class DemoCommand : CliCommand<DemoOptions>
{
    private static readonly OptionRange Clips = OptionRange.Between(12, 2000);

    public override string Name => "demo";

    public override string Summary =>
        "Draws a small labelled set of clips, trains on it as train does, and predicts clips it has not seen.";

    public override IReadOnlyList<string> Usages => ["[--output DIR]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Two drawn figures fight, or walk, hug and dance, in videos of many sizes, frame rates and codecs; some files are broken on " +
            "purpose. It takes a minute or two on two cores and needs no data and no network.",
    ];

    protected override OptionTable<DemoOptions> CreateTable() => new OptionTable<DemoOptions>(new DemoOptions())
        .Add(
            "--output", OptionGroup.Output, ValueTypes.Text("DIR", "folder"),
            o => o.Output, (o, v) => o with { Output = v },
            "Where everything goes; an earlier demo there is replaced, anything else is left alone")
        .Add(
            "--clips", OptionGroup.Data, ValueTypes.Integer,
            o => o.Clips, (o, v) => o with { Clips = v },
            "Labelled clips",
            range: Clips.ToString())
        .Add(
            "--frames", OptionGroup.Data, ValueTypes.Integer,
            o => o.Frames, (o, v) => o with { Frames = v },
            "Frames sampled from each clip")
        .Add(
            "--epochs", OptionGroup.Optimiser, ValueTypes.Integer,
            o => o.Epochs, (o, v) => o with { Epochs = v },
            "Passes over the training clips")
        .Add(
            "--threads", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Threads, (o, v) => o with { Threads = v },
            "Compute threads, 0 = one per core")
        .Add(
            "--seed", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Seed, (o, v) => o with { Seed = v },
            "Seed of the clips and of the training")
        .Add(
            "--clips-only", OptionGroup.Output, ValueTypes.Switch,
            o => o.ClipsOnly, (o, v) => o with { ClipsOnly = v },
            "Draw the clips and stop");

    protected override IEnumerable<OptionProblem> Validate(DemoOptions options, IReadOnlyList<string> arguments)
    {
        if (!Clips.Contains(options.Clips))
        {
            yield return new("--clips", $"{options.Clips} is out of range; expected {Clips}");
        }

        foreach (var problem in OptionValidation.Validate(DemoRun.Training(options)))
        {
            yield return problem;
        }
    }

    protected override int Run(DemoOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (presenter, stop) => new DemoRun(options, terminal, presenter).Run(stop));
}
