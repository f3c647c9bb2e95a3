using System.Diagnostics;
using CudaTrainer.Formats;

namespace CudaTrainer.Cli.Tests;

/// <summary>Classifiers as Keras files, by the program; and what it does where there is no libhdf5 to read them.</summary>
public sealed class KerasTests : IDisposable
{
    private const string Library = "libcudatrainer_hdf5.so";

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void The_best_model_for_Keras_evaluates_and_trains_on_as_the_other_one_does()
    {
        Assert.SkipUnless(Hdf5Library.IsAvailable, Hdf5Library.Detail);
        FeatureFolder.Write(_folder.File("features"));
        CommandOutcome train = Run("train", "--features-dir", "features", "--checkpoint-dir", "run", "--epochs", "2");
        train.ExitCode.ShouldBe(0, train.Error);
        train.Output.ShouldContain("best_model.h5");
        train.Error.ShouldNotContain("best_model.h5");

        Evaluate("run/best_model.h5").ShouldBe(Evaluate("run/best_model.safetensors"));
        TrainOn("run/best_model.h5").ShouldBe(TrainOn("run/best_model.safetensors"));

        string Evaluate(string file)
        {
            CommandOutcome outcome = Run("evaluate", "--checkpoint", file, "--features-dir", "features");
            outcome.ExitCode.ShouldBe(0, outcome.Error);
            outcome.Output.ShouldContain("confusion");

            // Keras's files do not say what the training clips look like.
            string[] lines = [.. outcome.Output.Split('\n').Where(line => !line.StartsWith("unfamiliar clips", StringComparison.Ordinal))];
            return string.Join('\n', lines).Replace(file, "FILE", StringComparison.Ordinal);
        }

        byte[] TrainOn(string file)
        {
            string run = "from-" + Path.GetExtension(file);
            CommandOutcome outcome =
                Run("train", "--features-dir", "features", "--checkpoint-dir", run, "--epochs", "1", "--initial-weights", file);
            outcome.ExitCode.ShouldBe(0, outcome.Error);
            return File.ReadAllBytes(_folder.File(run + "/best_model.h5"));
        }
    }

    /// <summary>A limit between the sizes of the best model's two files: the Keras file is the larger and the second.</summary>
    [Fact]
    public void A_disk_that_fills_up_is_an_error_that_names_the_file()
    {
        FeatureFolder.Write(_folder.File("features"));
        string[] line = ["train", "--features-dir", "features", "--model", "simple-lstm", "--epochs", "1", "--checkpoint-dir"];
        Run([.. line, "whole"]).ExitCode.ShouldBe(0);
        long bytes = new FileInfo(_folder.File("whole/best_model.safetensors")).Length +
            new FileInfo(_folder.File("whole/best_model.h5")).Length;

        CommandOutcome outcome = CommandRunner.RunLimited(_folder.Path, (int)(bytes / 2048), [.. line, "run"]);

        outcome.ExitCode.ShouldBe(1);
        outcome.ErrorLines.ShouldContain(text => text.StartsWith("error: ", StringComparison.Ordinal)
            && text.Contains("run/best_model.h5': the file is larger than the file system or a limit allows", StringComparison.Ordinal));
        File.Exists(_folder.File("run/best_model.h5")).ShouldBeFalse();
    }

    [Fact]
    public void Without_the_library_Keras_files_are_written_and_one_line_says_why_they_are_not_read()
    {
        FeatureFolder.Write(_folder.File("features"));
        string program = ProgramWithoutLibrary();

        CommandOutcome train = RunProgram(program, "train", "--features-dir", "features", "--checkpoint-dir", "run", "--epochs", "1");

        train.ExitCode.ShouldBe(0, train.Error);
        File.Exists(_folder.File("run/best_model.safetensors")).ShouldBeTrue();
        File.Exists(_folder.File("run/best_model.h5")).ShouldBeTrue();
        train.Error.ShouldNotContain("HDF5");

        string doctor = RunProgram(program, "doctor").Output;
        doctor.ShouldContain("WARN  hdf5");
        doctor.ShouldContain("-> without it no Keras .h5 files are read; everything else works");
        CommandOutcome inspect = RunProgram(program, "inspect", "run/best_model.h5");
        inspect.ExitCode.ShouldBe(1);
        string error = inspect.ErrorLines.ShouldHaveSingleItem();
        error.ShouldContain("this is an HDF5 (Keras) file, and the native HDF5 library does not load; ");
        error.ShouldContain($"{Library} (cannot open shared object file: No such file or directory)");
        error.ShouldContain("Install the Debian package libhdf5-dev and run 'make build'");
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);

    private CommandOutcome RunProgram(string program, params string[] arguments)
    {
        using Process process = CommandRunner.StartProgram(program, _folder.Path, [], arguments);
        return ChildProcess.Finish(process);
    }

    /// <summary>A copy of the built program as it is on a machine without libhdf5.</summary>
    private string ProgramWithoutLibrary()
    {
        string folder = _folder.File("program"), from = Path.GetDirectoryName(CommandRunner.ProgramFile)!;
        string[] packaged = Directory.GetFiles(Path.Combine(from, "runtimes"), "*", SearchOption.AllDirectories);
        foreach (string file in Directory.GetFiles(from).Concat(packaged).Where(file => Path.GetFileName(file) != Library))
        {
            string copy = Path.Combine(folder, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        return Path.Combine(folder, Path.GetFileName(CommandRunner.ProgramFile));
    }
}
