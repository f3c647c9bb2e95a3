using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Cli.Commands;

internal sealed record InspectOptions
{
    [Setting(SettingGroup.Output, "Read every number: smallest, mean, largest, and how many are not finite")]
    public bool Stats { get; init; }

    [Setting(SettingGroup.Output, "One JSON object on standard output, with all metadata")]
    public bool Json { get; init; }
}

/// <summary>What is in a file.</summary>
internal sealed class InspectCommand : CliCommand<InspectOptions>
{
    /// <summary>Longer metadata (a checkpoint's whole state) is for --json.</summary>
    private const int MetadataShown = 100;

    public override string Name => "inspect";

    public override string Summary => "Lists what a weight file, checkpoint, array or folder of features holds.";

    public override IReadOnlyList<string> Usages => ["FILE|DIR [--stats] [--json]"];

    public override IReadOnlyList<string> Notes =>
        ["Reads .npy, .safetensors, .ckpt, .pth, .pt and Keras .h5 files, a feature cache and a folder of features, by their content; nothing in a file is run."];

    public override string ArgumentPlaceholder => "FILE|DIR";

    protected override string? ArgumentProblem(IReadOnlyList<string> arguments) =>
        arguments.Count == 1 ? null : arguments.Count == 0 ? "name a file, or a folder of features" : "name one file";

    protected override int Run(InspectOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (_, stop) =>
        {
            InspectedFile file = FileInspection.Inspect(arguments[0], options.Stats, stop);
            if (options.Json)
            {
                terminal.WriteJson(file);
            }
            else
            {
                Write(file, options.Stats, terminal);
            }

            return ExitCode.Ok;
        });

    private static void Write(InspectedFile file, bool stats, Terminal terminal)
    {
        TextWriter output = terminal.Output;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
                $"{TextTable.Printable(file.Path)}: {file.Format}, {MetricText.Size(file.Bytes)}, {file.Tensors.Count} " +
                    $"tensor{(file.Tensors.Count == 1 ? "" : "s")}, {file.Elements:N0} elements"));
        if (file.Model is { } model)
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                    $"model {TextTable.Printable(model.Model)} of epoch {model.Epoch}: {model.Frames} frames of " +
                        $"{model.Inputs} features, {Decides(model)}, {TextTable.Printable(model.BackboneDescription)}"));
        }

        output.WriteLine();
        string[] titles = ["tensor", "type", "shape", ">size", .. stats ? (string[])[">min", ">mean", ">max", ">not finite"] : []];
        TextTable table = new(titles);
        foreach (InspectedTensor tensor in file.Tensors)
        {
            Cell[] numbers = tensor.Statistics is { } measured
                ? [Number(measured.Min), Number(measured.Mean), Number(measured.Max), MetricText.Count(measured.NonFinite)]
                : ["-", "-", "-", "-"];
            table.Row([tensor.Name, tensor.Type, $"[{string.Join(", ", tensor.Shape)}]", MetricText.Size(tensor.Bytes),
                .. stats ? numbers : []]);
        }

        table.Write(terminal.Results);
        if (file.Metadata.Count > 0)
        {
            TextTable metadata = new("metadata", "");
            foreach ((string key, string value) in file.Metadata)
            {
                metadata.Row(key, value.Length > MetadataShown ? $"{value[..MetadataShown]}… ({value.Length} characters; --json has all)" : value);
            }

            output.WriteLine();
            metadata.Write(terminal.Results);
        }
    }

    private static string Number(double value) => double.IsNaN(value) ? "-" : value.ToString("G5", CultureInfo.InvariantCulture);

    private static string Decides(ModelInfo model) => double.IsNaN(model.Threshold)
        ? $"classes {TextTable.Printable(string.Join(", ", model.Classes))}"
        : string.Create(CultureInfo.InvariantCulture, $"threshold {model.Threshold:0.000}");
}
