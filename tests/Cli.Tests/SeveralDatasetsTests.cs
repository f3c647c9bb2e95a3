using System.Text.Json;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Commands;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Tests;

/// <summary>The one option that may be given several times, and what becomes of its values.</summary>
public sealed class SeveralDatasetsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void The_data_set_may_be_given_several_times_and_nothing_else()
    {
        Bound("train", "--dataset-path", "a", "--epochs", "3", "--dataset-path=b").Run.Datasets.ShouldBe(["a", "b"]);
        Bound("train", "--dataset-path", "a").Run.DatasetPath.ShouldBe("a");
        Parsed("train", "--dataset-path", "a", "--epochs", "3", "--epochs", "4").Problems.ShouldBe(["--epochs is given 2 times"]);
        Parsed("train", "--dataset-path", "a", "--dataset-path", "--epochs", "4").Problems
            .ShouldContain(problem => problem.StartsWith("--dataset-path needs a value (folder)"));
        Program.Commands.SelectMany(command => command.Options).Where(option => option.TakesSeveral).Select(option => option.Name)
            .Distinct().ShouldBe(["--dataset-path", "--webhook", "--camera"]);
    }

    [Theory]
    [InlineData("run.json", """{ "dataset_path": ["a, with comma", "b"], "epochs": 2 }""")]
    [InlineData("run.yaml", "dataset-path:\n  - a, with comma\n  - b\nepochs: 2\n")]
    public void A_file_gives_a_list_which_the_command_line_replaces(string name, string text)
    {
        string file = _folder.File(name, text);

        Bound("train", "--config", file).Run.Datasets.ShouldBe(["a, with comma", "b"]);
        Bound("train", "--config", file, "--dataset-path", "c").Run.Datasets.ShouldBe(["c"]);
    }

    [Fact]
    public void Files_have_a_text_for_one_data_set_and_a_list_for_several()
    {
        JsonElement one = JsonSerializer.SerializeToElement(new TrainingOptions { DatasetPath = "a" },
            Presentation.JsonFormat.Options);
        JsonElement two = JsonSerializer.SerializeToElement(new TrainingOptions { Datasets = ["a", "b"] },
            Presentation.JsonFormat.Options);

        one.GetProperty("dataset_path").GetString().ShouldBe("a");
        two.GetProperty("dataset_path").EnumerateArray().Select(path => path.GetString()).ShouldBe(["a", "b"]);
        two.Deserialize<TrainingOptions>(Presentation.JsonFormat.Options)!.Datasets.ShouldBe(["a", "b"]);
        JsonSerializer.SerializeToElement(new TrainingOptions(), Presentation.JsonFormat.Options).GetProperty("dataset_path").ValueKind
            .ShouldBe(JsonValueKind.Null);
    }

    [Fact]
    public void Two_folders_go_through_the_commands()
    {
        Draw("indoor", "fight", "normal", seed: 1);
        Draw("outdoor", "brawl", "walk", seed: 40);
        string[] data =
            ["--dataset-path", "indoor", "--dataset-path", "outdoor", "--classes", "violent=fight,brawl;nonviolent=normal,walk"];

        string trained = Succeed(["train", .. data, "--stream", "motion", "--model", "linear", "--checkpoint-dir", "run"]);
        string cv = Succeed(["cv", .. data, "--stream", "motion", "--model", "linear", "--leave-one-dataset-out", "--seeds", "1",
            "--val-share", "0.3"]);
        string evaluated = Succeed("evaluate", "--checkpoint", "run", "--dataset-path", "outdoor", "--classes",
            "violent=brawl;nonviolent=walk", "--all-clips", "--output", "other");
        CommandOutcome strange = CommandRunner.RunIn(_folder.Path, [], "evaluate", "--checkpoint", "run", "--dataset-path", "outdoor");

        trained.ShouldContain("indoor     test");
        trained.ShouldContain("cudatrainer cv --dataset-path indoor --dataset-path outdoor");
        cv.ShouldContain("left out");
        evaluated.ShouldContain("all");
        using JsonDocument results = JsonDocument.Parse(File.ReadAllText(_folder.File("other/evaluation_results.json")));
        results.RootElement.GetProperty("all").GetProperty("count").GetInt32().ShouldBe(12);
        strange.ExitCode.ShouldBe(1);
        strange.Error.ShouldContain("the model does not know 'brawl', 'walk'");
        strange.Error.ShouldContain("--classes \"nonviolent=FOLDER;violent=FOLDER\"");
    }

    public void Dispose() => _folder.Dispose();

    private static ParsedArguments Parsed(params string[] words) => new ArgumentParser(Program.Commands).Parse(words).Arguments;

    private static TrainOptions Bound(params string[] words)
    {
        List<string> problems = [];
        var train = new TrainCommand();
        TrainOptions options = train.Bind(train.Given(Parsed(words), problems), problems, out _);
        problems.ShouldBeEmpty();
        return options;
    }

    private void Draw(string dataset, string violent, string calm, int seed)
    {
        foreach (int i in Enumerable.Range(0, 12))
        {
            string file = _folder.File($"{dataset}/{(i % 2 == 0 ? violent : calm)}/{i:00}.mp4");
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            StripedClip.Write(file, seed + i, frames: 30);
        }
    }

    private string Succeed(params string[] words)
    {
        CommandOutcome result = CommandRunner.RunIn(_folder.Path, [], words);
        result.ExitCode.ShouldBe(0, result.Error);
        return result.Output;
    }
}
