using System.Reflection;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Options;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.Tests;

/// <summary>Every option changes the record it is for, and every value of the record has an option.</summary>
public class OptionTableTests
{
    /// <summary>A value of each option of <c>train</c> other than its default.</summary>
    private static readonly Dictionary<string, string> Values = new()
    {
        ["--dataset-path"] = "videos",
        ["--split"] = "0.6,0.2,0.2",
        ["--groups"] = "groups.csv",
        ["--frames"] = "8",
        ["--stream"] = "motion",
        ["--views"] = "3",
        ["--on-corrupt"] = "zeros",
        ["--max-corrupt"] = "0.5",
        ["--decode-timeout"] = "7.5",
        ["--cache-dir"] = "cache",
        ["--weights"] = "vgg19.pth",
        ["--preprocess"] = "caffe",
        ["--device"] = "cpu:2",
        ["--threads"] = "3",
        ["--workers"] = "4",
        ["--feature-dtype"] = "float16",
        ["--seed"] = "7",
        ["--features-dir"] = "features",
        ["--shuffle"] = "false",
        ["--model"] = "simple-lstm",
        ["--dropout"] = "0.25",
        ["--initial-weights"] = "start.safetensors",
        ["--label-smoothing"] = "0.05",
        ["--use-focal-loss"] = "false",
        ["--focal-alpha"] = "0.25,0.75",
        ["--focal-gamma"] = "1.5",
        ["--use-class-weights"] = "false",
        ["--epochs"] = "12",
        ["--batch-size"] = "16",
        ["--learning-rate"] = "0.01",
        ["--min-learning-rate"] = "1e-5",
        ["--preset"] = "fast",
        ["--temporal-jitter"] = "2",
        ["--frame-drop"] = "0.1",
        ["--feature-noise"] = "0.2",
        ["--mixup"] = "0.4",
        ["--warmup-epochs"] = "2",
        ["--lr-schedule"] = "constant",
        ["--gradient-clip-norm"] = "5",
        ["--clip-mode"] = "per-parameter",
        ["--early-stopping-patience"] = "3",
        ["--ema"] = "0.99",
        ["--swa-start"] = "8",
        ["--monitor"] = "val_auc",
        ["--mixed-precision"] = "true",
        ["--xla"] = "true",
        ["--checkpoint-dir"] = "runs",
        ["--resume"] = "auto",
        ["--overwrite"] = "true",
        ["--checkpoint-every"] = "2",
        ["--keep-checkpoints"] = "1",
        ["--log-every-steps"] = "10",
        ["--profile"] = "10,20",
        ["--tensorboard"] = "false",
        ["--tensorboard-histograms"] = "2",
        ["--standardize-features"] = "true",
        ["--sync-batchnorm"] = "true",
        ["--allreduce-dtype"] = "float16",
        ["--check-replicas"] = "100",
        ["--distributed"] = "mpi",
        ["--dry-run"] = "true",
        ["--fast-dev-run"] = "3",
        ["--overfit-batches"] = "2",
        ["--report"] = "false",
    };

    public static TheoryData<string> TrainingOptionNames => [.. TrainingOptionTable.Create().Select(option => option.Name)];

    [Theory]
    [MemberData(nameof(TrainingOptionNames))]
    public void Each_option_of_train_reaches_one_value_of_the_record(string name)
    {
        var table = TrainingOptionTable.Create();
        var option = table.Single(option => option.Name == name);

        var changed = option.Apply(table.Defaults, Values[name]);

        var property = Differences(table.Defaults, changed).ShouldHaveSingleItem();
        Suggestion.Key(property).ShouldBe(Suggestion.Key(name));
        string expected = option.IsSwitch ? Values[name] == "true" ? "on" : "off" : Values[name];
        option.Format(changed).ShouldBe(expected);
    }

    [Fact]
    public void Each_value_of_the_record_has_an_option()
    {
        var properties = typeof(TrainingOptions).GetProperties().Select(property => Suggestion.Key(property.Name));

        properties.Order().ShouldBe(TrainingOptionTable.Create().Select(option => Suggestion.Key(option.Name)).Order());
    }

    [Fact]
    public void Every_option_is_named_once_and_described()
    {
        foreach (var command in Program.Commands)
        {
            command.Options.Select(option => option.Name).ShouldBeUnique();
            command.Options.ShouldAllBe(option => option.Description.Length > 10 && !option.Description.EndsWith('.'));
            command.Options.ShouldAllBe(option => option.Name.StartsWith("--") && !option.Name.StartsWith("--no-"));
        }
    }

    [Fact]
    public void Help_shows_the_range_that_validation_enforces()
    {
        foreach (var option in TrainingOptionTable.Create().Where(option => option.Kind is "whole number" or "number"))
        {
            var range = OptionValidation.RangeOf(option.Name).ShouldNotBeNull(option.Name);
            option.Range.ShouldBe(range.ToString());
        }
    }

    [Fact]
    public void Defaults_are_valid()
    {
        OptionValidation.Validate(new TrainingOptions { DatasetPath = "videos" }).ShouldBeEmpty();
        OptionValidation.Validate(new TrainingOptions { FeaturesDir = "features" }).ShouldBeEmpty();
        OptionValidation.Validate(new FeatureOptions { DatasetPath = "videos" }).ShouldBeEmpty();
    }

    private static IEnumerable<string> Differences(TrainingOptions before, TrainingOptions after) =>
        typeof(TrainingOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => !Equals(property.GetValue(before), property.GetValue(after)))
            .Select(property => property.Name);
}
