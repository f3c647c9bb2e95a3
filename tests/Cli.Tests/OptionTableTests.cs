using System.Reflection;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Commands;
using CudaTrainer.Training.Options;

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
        ["--backbone"] = "network.onnx",
        ["--backbone-layer"] = "pooled",
        ["--backbone-input"] = "96x64 nhwc",
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
        ["--classes"] = "violent=fight;normal=walk",
        ["--labels"] = "labels.csv",
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
        ["--weight-decay"] = "0.01",
        ["--ema"] = "0.99",
        ["--swa-start"] = "8",
        ["--monitor"] = "val_auc",
        ["--mixed-precision"] = "true",
        ["--xla"] = "true",
        ["--checkpoint-dir"] = "runs",
        ["--resume"] = "auto",
        ["--accept-changed-data"] = "true",
        ["--overwrite"] = "true",
        ["--checkpoint-every"] = "2",
        ["--keep-checkpoints"] = "1",
        ["--log-every-steps"] = "10",
        ["--profile"] = "10,20",
        ["--tensorboard"] = "false",
        ["--tensorboard-histograms"] = "2",
        ["--standardize-features"] = "true",
        ["--whiten"] = "30",
        ["--differences"] = "true",
        ["--threshold"] = "half",
        ["--sync-batchnorm"] = "true",
        ["--allreduce-dtype"] = "float16",
        ["--check-replicas"] = "100",
        ["--distributed"] = "mpi",
        ["--dry-run"] = "true",
        ["--fast-dev-run"] = "3",
        ["--overfit-batches"] = "2",
        ["--report"] = "false",
    };

    private static readonly IReadOnlyList<OptionDefinition> OfTrain =
        [.. new TrainCommand().Options.Where(option => option.Property.Name != nameof(TrainOptions.Json))];

    public static TheoryData<string> TrainingOptionNames => [.. OfTrain.Select(option => option.Name)];

    [Theory]
    [MemberData(nameof(TrainingOptionNames))]
    public void Each_option_of_train_reaches_one_value_of_the_record(string name)
    {
        OptionDefinition option = OfTrain.Single(option => option.Name == name);
        TrainOptions changed = new();

        option.Set(changed, Values[name]);

        string property = Differences(new TrainingOptions(), changed.Run).Where(name => name != nameof(TrainingOptions.Datasets))
            .ShouldHaveSingleItem();
        Suggestion.Key(property).ShouldBe(Suggestion.Key(name));
        string expected = option.IsSwitch ? Values[name] == "true" ? "on" : "off" : Values[name];
        option.Format(changed).ShouldBe(expected);
    }

    [Fact]
    public void Each_value_of_the_record_has_an_option()
    {
        IEnumerable<string> properties = typeof(TrainingOptions).GetProperties().Select(property => property.Name)
            .Where(name => name is not (nameof(TrainingOptions.Given) or nameof(TrainingOptions.OnnxRunner)
                or nameof(TrainingOptions.Datasets)));

        properties.Order().ShouldBe(OfTrain.Select(option => option.Property.Name).Order());
    }

    /// <summary>Who takes which options is a contract; roles only say it in one place.</summary>
    [Theory]
    [InlineData("cv", "--split --views --distributed --check-replicas --initial-weights --checkpoint-dir --resume --accept-changed-data " +
        "--checkpoint-every --keep-checkpoints --log-every-steps --profile --report --tensorboard --tensorboard-histograms --dry-run " +
        "--fast-dev-run --overfit-batches")]
    [InlineData("ablate", "--split --views --distributed --preset --lr-schedule --use-focal-loss --use-class-weights --mixed-precision " +
        "--xla --check-replicas --initial-weights --checkpoint-dir --resume --accept-changed-data --overwrite " +
        "--checkpoint-every --keep-checkpoints " +
        "--log-every-steps --profile --report --tensorboard --tensorboard-histograms --dry-run --fast-dev-run --overfit-batches")]
    [InlineData("lr-find", "--views --distributed --epochs --learning-rate --min-learning-rate --warmup-epochs --lr-schedule " +
        "--early-stopping-patience --ema --swa-start --monitor --threshold --check-replicas --checkpoint-dir --resume " +
        "--accept-changed-data --overwrite " +
        "--checkpoint-every --keep-checkpoints --log-every-steps --dry-run --fast-dev-run --overfit-batches")]
    public void A_command_leaves_out_the_options_of_train_that_make_no_sense_there(string command, string expected)
    {
        HashSet<string> own = [.. Program.Commands.Single(each => each.Name == command).Options.Select(option => option.Name)];

        OfTrain.Select(option => option.Name).Where(name => !own.Contains(name)).Order().ShouldBe(expected.Split(' ').Order());
    }

    [Theory]
    [InlineData("evaluate", "--stream --frames --views --preprocess --distributed")]
    [InlineData("ensemble", "--frames --views --preprocess --distributed")]
    public void A_command_leaves_out_what_a_trained_model_decides(string command, string expected)
    {
        HashSet<string> own = [.. Program.Commands.Single(each => each.Name == command).Options.Select(option => option.Name)];

        new ExtractCommand().Options.Select(option => option.Name).Where(name => !own.Contains(name)).Order()
            .ShouldBe(expected.Split(' ').Order());
    }

    [Fact]
    public void Presets_are_of_options_that_train_has_and_their_help_names_each()
    {
        foreach (string preset in Presets.Names)
        {
            Presets.Meaning.ShouldContain($"{preset}: ");
            TrainOptions options = new();
            foreach ((string setting, string value) in Presets.Of(preset))
            {
                OfTrain.Single(option => option.Name == $"--{setting}").Set(options, value);
            }

            OptionValidation.Validate(options.Run with { DatasetPath = "videos" }).ShouldBeEmpty();
        }
    }

    [Fact]
    public void Every_option_is_named_once_and_described()
    {
        foreach (CliCommand command in Program.Commands)
        {
            command.Options.Select(option => option.Name).ShouldBeUnique();
            command.Options.ShouldAllBe(option => option.Description.Length > 10 && !option.Description.EndsWith('.'));
            command.Options.ShouldAllBe(option => option.Name.StartsWith("--") && !option.Name.StartsWith("--no-"));
        }
    }

    [Fact]
    public void Every_number_has_a_range_that_help_shows_and_that_its_default_is_in()
    {
        foreach (OptionDefinition option in Program.Commands.SelectMany(command => command.Options)
            .Where(option => option.Kind is "whole number" or "number"))
        {
            Setting setting = Setting.Of(option.Property.DeclaringType!).Single(setting => setting.Property.Name == option.Property.Name);
            option.Range.ShouldNotBeNull(option.Name).ShouldBe(setting.Range);
            option.Range.ShouldMatch("^(more than |)[0-9.]+", option.Name);
            setting.Accepts(double.NaN).ShouldBeFalse();
            setting.Accepts(double.PositiveInfinity).ShouldBeFalse();
            if (double.TryParse(option.Default, out double value))
            {
                setting.Accepts(value).ShouldBeTrue(option.Name);
            }
        }
    }

    [Fact]
    public void Bounds_are_in_a_range_or_not_as_help_says()
    {
        Setting[] all = [.. Setting.Of(typeof(TrainingOptions))];

        Accepts("epochs", 1, 0);
        Accepts("ema", 0, 1);
        Accepts("learning-rate", 10, 0);
        Accepts("decode-timeout", 0.001, 0);
        Accepts("focal-gamma", 20, 20.5);
        Accepts("focal-gamma", 0, -0.5);

        void Accepts(string name, double yes, double no)
        {
            Setting setting = all.Single(setting => setting.Name == name);
            setting.Accepts(yes).ShouldBeTrue($"{name} {yes}");
            setting.Accepts(no).ShouldBeFalse($"{name} {no}");
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
            .Where(property => !Same(property.GetValue(before), property.GetValue(after)))
            .Select(property => property.Name);

    private static bool Same(object? a, object? b) =>
        a is IEnumerable<double> numbers ? numbers.SequenceEqual((IEnumerable<double>)b!) : Equals(a, b);
}
