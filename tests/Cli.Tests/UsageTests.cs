using CudaTrainer.Cli.CommandLine;

namespace CudaTrainer.Cli.Tests;

public class UsageTests
{
    [Theory]
    [InlineData("trian", "unknown command \"trian\"; did you mean train?")]
    [InlineData("evalute --checkpoint x", "unknown command \"evalute\"; did you mean evaluate?")]
    [InlineData("cache inof", "unknown command \"cache inof\"; did you mean cache info?")]
    [InlineData("cache", "cache needs one of: info, verify, clear, prune")]
    [InlineData("--quite", "unknown option --quite; did you mean --quiet?")]
    [InlineData("zzzzzz", "unknown command \"zzzzzz\"")]
    public void Unknown_commands_suggest_the_nearest(string line, string expected)
    {
        CommandOutcome outcome = CommandRunner.RunInside(line.Split(' '));

        outcome.ExitCode.ShouldBe(2);
        outcome.Output.ShouldBeEmpty();
        outcome.ErrorLines[0].ShouldBe($"error: {expected}");
    }

    [Theory]
    [InlineData("--batchsize 5", "unknown option --batchsize; did you mean --batch-size?")]
    [InlineData("--batch_size=5", "unknown option --batch_size; did you mean --batch-size?")]
    [InlineData("--epoch 5", "unknown option --epoch; did you mean --epochs?")]
    [InlineData("--lerning-rate 1", "unknown option --lerning-rate; did you mean --learning-rate?")]
    [InlineData("--no-shufle", "unknown option --no-shufle; did you mean --no-shuffle?")]
    [InlineData("--qqqqqqqqq 3", "unknown option --qqqqqqqqq")]
    [InlineData("--epochs", "--epochs needs a value (1 or more)")]
    [InlineData("--checkpoint-dir --epochs 3", "--checkpoint-dir needs a value (folder)")]
    [InlineData("--checkpoint-dir --bogus", "--checkpoint-dir needs a value (folder), but --bogus follows")]
    [InlineData("--epochs 3 --epochs 4", "--epochs is given 2 times")]
    [InlineData("--shuffle --no-shuffle", "--shuffle and --no-shuffle contradict each other")]
    [InlineData("stray", "unexpected argument \"stray\"")]
    [InlineData("--epochs 3x", "--epochs: \"3x\" is not a whole number")]
    [InlineData("--epochs 99999999999", "--epochs: 99999999999 is out of range; expected 1 to 2147483647")]
    [InlineData("--seed -2147483649", "--seed: -2147483649 is out of range; expected 0 to 2147483647")]
    [InlineData("--epochs 9999999999x", "--epochs: \"9999999999x\" is not a whole number")]
    [InlineData("--shuffle false", "--shuffle takes no value; use --no-shuffle")]
    [InlineData("--shuffle=False", "--shuffle takes no value; use --no-shuffle")]
    [InlineData("--no-shuffle off", "--no-shuffle takes no value; use --shuffle")]
    [InlineData("--shuffle 1", "--shuffle takes no value; use --shuffle alone")]
    [InlineData("--quiet no", "--quiet takes no value; leave it out")]
    [InlineData("--shuffle maybe", "unexpected argument \"maybe\"")]
    [InlineData("--learning-rate 0,001", "--learning-rate: \"0,001\" is not a number")]
    [InlineData("--learning-rate nan", "--learning-rate: NaN is out of range; expected more than 0, up to 10")]
    [InlineData("--clip-mode sometimes", "--clip-mode: \"sometimes\" is not one of off, global, per-parameter")]
    [InlineData("--split 0.5,0.6,0.1",
        "--split: 0.5,0.6,0.1 is not valid; expected the shares of train, val and test, which sum to 1 (train and val above 0)")]
    [InlineData("--focal-alpha 0.25,0.5,0.75",
        "--focal-alpha: 0.25,0.5,0.75 is not valid; expected one number, or two (nonviolent,violent), each 0 to 1, not all 0")]
    [InlineData("--device gpu", "--device: \"gpu\" is not a device; expected auto, cpu, cpu:N, reference, cuda or cuda:0,1")]
    [InlineData("--device cuda:1,1", "--device: \"cuda:1,1\" is not a device; expected auto, cpu, cpu:N, reference, cuda or cuda:0,1")]
    [InlineData("--resume auto --overwrite", "--resume: contradicts --overwrite; give one of them")]
    public void Each_mistake_is_named(string line, string expected)
    {
        CommandOutcome outcome = CommandRunner.RunInside(["train", "--features-dir", "features", .. line.Split(' ')]);

        outcome.ExitCode.ShouldBe(2);
        outcome.Output.ShouldBeEmpty();
        outcome.ErrorLines.ShouldBe([$"error: {expected}", "Run \"cudatrainer train --help\" for help."]);
    }

    [Theory]
    [InlineData("--window 0", "--window: 0 is out of range; expected more than 0")]
    [InlineData("--window 5 --stride 6", "--stride: is above --window; parts of the video would be in no window")]
    [InlineData("--window 5 --threshold 0.5 --release 0.6", "--release: is above --threshold; an event would end before it begins")]
    [InlineData("--stride 1", "--stride: needs --window")]
    [InlineData("--annotate out.mp4", "--annotate: needs --window")]
    [InlineData("--window 5 --smooth -1", "--smooth: -1 is out of range; expected 0 or more")]
    public void Each_mistake_about_windows_is_named(string line, string expected)
    {
        CommandOutcome outcome = CommandRunner.RunInside(["predict", "clip.mp4", "--checkpoint", "model", .. line.Split(' ')]);

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines.ShouldBe([$"error: {expected}", "Run \"cudatrainer predict --help\" for help."]);
    }

    [Theory]
    [InlineData("--dataset-path clips --stride 0.5", "--stride: needs --nonviolent-videos")]
    [InlineData("--dataset-path clips --window 5", "--window: needs --nonviolent-videos")]
    [InlineData("--nonviolent-videos calm --tta", "--tta: is for clips: give --dataset-path or --features-dir as well")]
    [InlineData("--nonviolent-videos calm --stride 3", "--stride: is above --window; parts of the video would be in no window")]
    [InlineData("--nonviolent-videos calm --window 0", "--window: 0 is out of range; expected more than 0")]
    [InlineData("--threshold 0.5", "--dataset-path: is required: a folder of videos")]
    public void Each_mistake_about_what_is_evaluated_is_named(string line, string expected)
    {
        CommandOutcome outcome = CommandRunner.RunInside(["evaluate", "--checkpoint", "model", .. line.Split(' ')]);

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines.ShouldBe([$"error: {expected}", "Run \"cudatrainer evaluate --help\" for help."]);
    }

    [Fact]
    public void All_mistakes_are_reported_at_once()
    {
        CommandOutcome outcome = CommandRunner.Run(
            "train", "--batchsize", "3", "--epochs", "0", "--dropout", "1", "--label-smoothing", "-0.1", "--seed", "x", "--model", "lstm",
                "extra");

        outcome.ExitCode.ShouldBe(2);
        string[] expected =
        [
            "error: unknown option --batchsize; did you mean --batch-size?",
            "error: unexpected argument \"extra\"",
            "error: --seed: \"x\" is not a whole number",
            "error: --epochs: 0 is out of range; expected 1 or more",
            "error: --label-smoothing: -0.1 is out of range; expected 0 or more, less than 1",
            "error: --dropout: 1 is out of range; expected 0 or more, less than 1",
            "error: --dataset-path: nothing to train on: give --dataset-path DIR (videos) or --features-dir DIR (features)",
            "error: --model: \"lstm\" is unknown; expected one of lstm-attention, bilstm-attention, gru-attention, simple-lstm, " +
                "attention-mil, frame-mlp, linear",
            "Run \"cudatrainer train --help\" for help.",
        ];
        outcome.ErrorLines.ShouldBe(expected);
    }

    [Fact]
    public void A_word_after_a_switch_is_an_argument_where_it_names_a_file()
    {
        using TemporaryFolder folder = new();
        folder.File("on", string.Empty);

        CommandOutcome there = CommandRunner.RunIn(folder.Path, [], "predict", "--json", "on");
        there.Error.ShouldNotContain("takes no value");
        CommandOutcome missing = CommandRunner.RunIn(folder.Path, [], "predict", "--json", "off");
        missing.Error.ShouldContain("--json takes no value; use --no-json");
    }

    [Fact]
    public void A_video_whose_name_starts_with_a_dash_follows_two_dashes()
    {
        CommandOutcome withDashes = CommandRunner.RunInside("predict", "--", "-clip.mp4");
        CommandOutcome without = CommandRunner.RunInside("predict", "-clip.mp4");

        withDashes.Error.ShouldNotContain("unknown option");
        without.Error.ShouldContain("unknown option -clip.mp4");
    }

    [Fact]
    public void At_signs_are_not_special_where_no_such_file_is()
    {
        CommandOutcome outcome = CommandRunner.RunInside("predict", "@clip.mp4");

        outcome.ExitCode.ShouldBe(1);
        (outcome.Output + outcome.Error).ShouldContain("@clip.mp4");
    }

    [Fact]
    public void A_response_file_stands_for_the_words_it_holds()
    {
        using TemporaryFolder folder = new();
        string file = folder.File("run.rsp", "# as in the paper\n--epochs 7\n--no-shuffle\n--model \"simple-lstm\"\n--batchsize 3\n");

        CommandLineRequest request = new ArgumentParser(Program.Commands).Parse(["train", $"@{file}", "--seed", "3"]);

        request.Arguments.Options.Select(option => $"{option.Name} {option.Text}").Order()
            .ShouldBe(["--epochs 7", "--model simple-lstm", "--seed 3", "--shuffle false"]);
        request.Arguments.Problems.ShouldBe(["unknown option --batchsize; did you mean --batch-size?"]);
    }

    [Fact]
    public void A_response_file_names_no_other_and_is_text()
    {
        using TemporaryFolder folder = new();
        string loop = folder.File("loop.rsp", string.Empty), binary = folder.File("binary.rsp", [77, 0, 1]);
        File.WriteAllText(loop, $"--epochs 2\n@{loop}\n");

        CommandOutcome outcome = CommandRunner.RunInside("train", $"@{loop}", $"@{binary}");

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines.ShouldContain($"error: @{loop}: the line \"@{loop}\" begins with @; a file of words cannot name another, " +
            "give both on the command line");
        outcome.ErrorLines.ShouldContain($"error: @{binary}: is no text; to give it as an argument, write \"--\" before it");
    }

    [Theory]
    [InlineData("[suggest:-1]")]
    [InlineData("[suggest:x]")]
    [InlineData("[suggest:99999999999999]")]
    [InlineData("\e[31mred")]
    public void What_does_not_belong_there_is_named_without_its_control_codes(string word)
    {
        CommandOutcome outcome = CommandRunner.RunInside(word, "train");

        outcome.ExitCode.ShouldBe(2);
        outcome.Error.ShouldNotContain('\e');
        outcome.ErrorLines[0].ShouldBe($"error: unexpected argument \"{word.Replace('\e', '\uFFFD')}\"");
    }

    [Fact]
    public void An_unknown_command_of_a_group_names_those_that_there_are() => CommandRunner.RunInside("cache", "bogus").ErrorLines[0]
        .ShouldBe("error: unknown command \"cache bogus\"; cache needs one of: info, verify, clear, prune");

    [Theory]
    [InlineData("train --", "--epochs --batch-size --no-shuffle --config --quiet")]
    [InlineData("train --ep", "--epochs")]
    [InlineData("cache ", "info verify clear")]
    [InlineData("tr", "train")]
    [InlineData("train --clip-mode ", "off global per-parameter")]
    [InlineData("train --model ", "lstm-attention frame-mlp")]
    public void A_shell_that_asks_how_a_line_goes_on_is_told(string line, string expected)
    {
        CommandOutcome outcome = CommandRunner.RunInside($"[suggest:{line.Length}]", line);

        CommandRunner.RunInside("[suggest]", line).ShouldBe(outcome);
        outcome.ExitCode.ShouldBe(0);
        outcome.Error.ShouldBeEmpty();
        string[] words = outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        words.ShouldBeSubsetOf([.. words.Where(word => word.Contains(line.Split(' ')[^1], StringComparison.OrdinalIgnoreCase))]);
        expected.Split(' ').ShouldBeSubsetOf(words);
    }

    [Theory]
    [InlineData("[suggest:5]", "train --")]
    [InlineData("[suggest:15]", "train --epochs ")]
    public void Where_nothing_can_follow_a_shell_is_told_no_word(string directive, string line)
    {
        CommandOutcome outcome = CommandRunner.RunInside(directive, line);

        outcome.ExitCode.ShouldBe(0);
        (outcome.Output + outcome.Error).Split('\n').ShouldAllBe(word => word == "train" || word.Length == 0);
        outcome.Output.ShouldNotStartWith("\n");
    }
}
