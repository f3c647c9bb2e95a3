using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.OnnxRuntime;
using CudaTrainer.Training.Export;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record ExportCommandOptions
{
    [Settings]
    public ExportOptions Run { get; init; } = new();

    [Setting(SettingGroup.Output, "Compare answers with ONNX Runtime's")]
    public bool Check { get; init; } = true;

    [Setting(SettingGroup.Output, "One JSON object on standard output")]
    public bool Json { get; init; }
}

/// <summary>A trained classifier for other programs.</summary>
internal sealed class ExportCommand : CliCommand<ExportCommandOptions>
{
    private const string Extension = ".onnx";

    public override string Name => "export";

    public override string Summary => "Writes a trained classifier as an ONNX file, with or without the backbone before it.";

    public override IReadOnlyList<string> Usages => ["--onnx FILE.onnx --model DIR|FILE [--whole] [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Without --whole the input is features [batch, frames, 4096]; with it, frames [batch, frames, 224, 224, 3] of bytes, and the " +
            "file holds the backbone too (VGG19: about 550 MB; of other networks frames have their size). Outputs are the probabilities " +
            "of the classes and the attention to each frame.",
        "The file is run in ONNX Runtime on random clips and compared with this engine; a file that differs by more than 0.0001 is " +
            "kept as FILE.onnx.unchecked.",
    ];

    protected override IEnumerable<OptionProblem> Validate(ExportCommandOptions options)
    {
        if (options.Run.Onnx.Length == 0)
        {
            yield return new(nameof(options.Run.Onnx), "is required: the file to write");
        }
        else if (!options.Run.Onnx.EndsWith(Extension, StringComparison.OrdinalIgnoreCase))
        {
            yield return new(nameof(options.Run.Onnx),
                $"\"{options.Run.Onnx}\" does not end in {Extension}; ONNX is the only format that can be written");
        }

        if (options.Run.Model.Length == 0)
        {
            yield return new(nameof(options.Run.Model), "is required: the trained model");
        }

        foreach (OptionProblem problem in options.Run.Validate())
        {
            yield return problem;
        }
    }

    protected override int Run(ExportCommandOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            ExportResult result = ExportRun.Execute(options.Run with { OnnxRunner = new OnnxRuntimeRunner() },
                options.Check ? new OnnxRuntimeRunner() : null, observer, stop);
            observer.CloseLine();
            if (options.Json)
            {
                terminal.WriteJson(result);
            }
            else
            {
                Write(result, terminal);
            }

            return ExitCode.Ok;
        });

    private static void Write(ExportResult result, Terminal terminal)
    {
        TextWriter output = terminal.Output;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Path}: {result.Model}{(result.Whole ? $" behind {result.Backbone}" : "")}, {MetricText.Size(result.Bytes)}, {result.Operations} operations of opset {result.Opset}, {result.Weights} weights"));
        TextTable table = new("", "name", "type", "shape");
        foreach ((string role, IReadOnlyList<ExportedValue> values) in new[] { ("input", result.Inputs), ("output", result.Outputs) })
        {
            foreach (ExportedValue value in values)
            {
                table.Row(role, value.Name, value.Type, $"[{string.Join(", ", value.Shape)}]");
            }
        }

        output.WriteLine();
        table.Write(terminal.Results);
        output.WriteLine();
        output.WriteLine(Check(result.Check));
    }

    private static string Check(ExportCheck check)
    {
        if (check.Runtime is null)
        {
            return $"Not run in ONNX Runtime (--no-check); read back instead: every operation and weight is there as written.";
        }

        string differences = string.Join(", ",
            check.Differences.Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key} {pair.Value:0.0e-0}")));
        return string.Create(CultureInfo.InvariantCulture,
            $"Run in ONNX Runtime {check.Runtime} on {check.Clips} random clips: largest absolute difference of {differences} (limit " +
                $"{ExportRun.Tolerance:0e-0}).");
    }
}
