using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Commands;
using CudaTrainer.Cli.Demo;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli;

/// <summary>The <c>cudatrainer</c> program: takes the command line apart and runs one command.</summary>
internal static class Program
{
    static Program() => SettingName.Style = property => $"--{Setting.NameOf(property)}";

    /// <summary>Every command, in the order help lists them.</summary>
    public static IReadOnlyList<CliCommand> Commands { get; } =
    [
        new TrainCommand(),
        new ExtractCommand(),
        new EvaluateCommand(),
        new EnsembleCommand(),
        new PredictCommand(),
        new WatchCommand(),
        new DriftCommand(),
        new ServeCommand(),
        new ExportCommand(),
        new ReportCommand(),
        new InspectCommand(),
        new LrFindCommand(),
        new CvCommand(),
        new AblateCommand(),
        new TuneCommand(),
        new GradcheckCommand(),
        new BenchOpCommand(),
        new ConfigPrintCommand(),
        new DataScanCommand(),
        new CacheInfoCommand(),
        new CacheVerifyCommand(),
        new CacheClearCommand(),
        new CachePruneCommand(),
        new DoctorCommand(),
        new DemoCommand(),
        new CompletionCommand(),
        new ManCommand(() => Commands!),
    ];

    public static int Main(string[] arguments) =>
        Run(arguments, new SteadyWriter(Console.Out, "Standard output"), new SteadyWriter(Console.Error), TerminalSettings.Detect());

    /// <returns>The exit code.</returns>
    public static int Run(IReadOnlyList<string> arguments, TextWriter output, TextWriter error, TerminalSettings settings)
    {
        // Prints docs/cli.md; for the makers of this program, so not among the commands.
        if (arguments is ["docs"])
        {
            output.Write(Reference.Markdown(Commands));
            return ExitCode.Ok;
        }

        ArgumentParser parser = new(Commands);
        if (parser.Complete(arguments, output))
        {
            return ExitCode.Ok;
        }

        CommandLineRequest request = parser.Parse(arguments);
        Terminal terminal = new(output, error, settings, request.Arguments.Quiet, request.Arguments.Debug, request.Arguments.Events)
        {
            Json = request.Json,
        };
        try
        {
            int code = Run(request, terminal);
            output.Flush();
            return terminal.End(code);
        }
        catch (Exception exception)
        {
            return terminal.End(Failure.Report(exception, terminal));
        }
    }

    private static int Run(CommandLineRequest request, Terminal terminal)
    {
        if (request.Version)
        {
            terminal.Output.WriteLine($"cudatrainer {ProgramVersion.Text}");
            return ExitCode.Ok;
        }

        if (request.Command is { } command)
        {
            if (!request.Help)
            {
                return command.Execute(request.Arguments, terminal);
            }

            terminal.Output.Write(HelpText.Of(command, terminal.Settings.Width));
            return ExitCode.Ok;
        }

        if (request.Arguments.Problems.Count > 0)
        {
            return terminal.UsageErrors(null, request.Arguments.Problems);
        }

        terminal.Output.Write(request.Group is { } group
            ? HelpText.OfGroup(group, Commands, terminal.Settings.Width)
            : HelpText.Overview(Commands, terminal.Settings.Width));
        return ExitCode.Ok;
    }
}
