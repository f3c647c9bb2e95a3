using CudaTrainer.Formats;

namespace CudaTrainer.Cli.Tests;

/// <summary>
/// What is wrong ends the program with exit code 1 and a line that names the file and says what to do; nothing that was there is lost.
/// </summary>
public class BadInputTests
{
    private static readonly string[] TextVideos = ["violent/1.mp4", "violent/2.mp4", "nonviolent/3.mp4", "nonviolent/4.mp4",
        "violent/5.mp4", "nonviolent/6.mp4"];

    public static TheoryData<string, string[], string> Datasets => new()
    {
        { "missing", [], "does not exist. Check --dataset-path" },
        { "empty", ["empty/"], "is not a dataset" },
        { "one class", ["one class/violent/a.mp4"], "one class only" },
        { "a file.mp4", ["a file.mp4"], "is a file, expected a folder" },
    };

    [Theory]
    [MemberData(nameof(Datasets))]
    public void An_unusable_dataset_is_named(string dataset, string[] files, string expected)
    {
        using TemporaryFolder folder = new();
        Create(folder, files);

        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, [], "extract", "--dataset-path", dataset);

        Failed(outcome, dataset, expected);
    }

    [Fact]
    public void Clips_that_are_all_broken_are_listed_with_their_faults()
    {
        using TemporaryFolder folder = new();
        Create(folder, [.. TextVideos.Select(file => $"clips/{file}")]);

        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, [], "train", "--dataset-path", "clips", "--checkpoint-dir", "run");

        Failed(outcome, "6 of 6 videos cannot be used", "--max-corrupt");
        TextVideos.ShouldAllBe(file => outcome.Error.Contains($"'{file}': not a video"));
        Directory.GetFiles(folder.File("run"), "*.ckpt").ShouldBeEmpty();
    }

    [Theory]
    [InlineData("text")]
    [InlineData("empty")]
    [InlineData("truncated")]
    [InlineData("header bomb")]
    [InlineData("data bomb")]
    [InlineData("hostile")]
    public void A_file_that_is_no_checkpoint_is_refused_by_every_command(string kind)
    {
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        File.WriteAllBytes(folder.File("bad.ckpt"), BadCheckpoint(kind));
        string[][] lines =
        [
            ["evaluate", "--features-dir", "features", "--checkpoint", "bad.ckpt"],
            ["predict", "video.mp4", "--checkpoint", "bad.ckpt"],
            ["train", "--features-dir", "features", "--checkpoint-dir", "run", "--resume", "bad.ckpt"],
            ["train", "--features-dir", "features", "--checkpoint-dir", "run", "--initial-weights", "bad.ckpt"],
        ];

        // One command each: all read files in the same place.
        string[] line = lines[kind.Length % lines.Length];
        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, [], line);

        Failed(outcome, "'bad.ckpt'", kind == "hostile" ? "'posix.system'" : "");
        File.Exists(folder.File("executed")).ShouldBeFalse();
    }

    [Fact]
    public void Weights_that_are_not_those_of_a_VGG19_are_named()
    {
        using TemporaryFolder folder = new();
        Create(folder, [.. TextVideos.Select(file => $"clips/{file}")]);
        SafetensorsWriter.Write(folder.File("other.safetensors"), [NamedTensor.Of<float>("features.0.weight", new float[12], 3, 4)]);

        CommandOutcome outcome =
            CommandRunner.RunIn(folder.Path, [], "extract", "--dataset-path", "clips", "--weights", "other.safetensors");

        Failed(outcome, "'other.safetensors'", "features.2.weight [64, 64, 3, 3]");
        outcome.Error.ShouldContain("features.0.weight");
    }

    [Fact]
    public void Features_that_are_not_finite_are_named_by_train_and_evaluate()
    {
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        CommandRunner.RunIn(folder.Path, [], "train", "--features-dir", "features", "--checkpoint-dir", "run", "--epochs", "1")
            .ExitCode.ShouldBe(0);
        using (FileStream file = File.OpenWrite(folder.File("features/test_features.npy")))
        {
            file.Seek(-4, SeekOrigin.End);
            file.Write(BitConverter.GetBytes(float.NaN));
        }

        string where = $"feature {FeatureFolder.Dimension - 1} of frame {FeatureFolder.Frames - 1} of row 11 of test_features.npy is NaN";
        Failed(CommandRunner.RunIn(folder.Path, [], "train", "--features-dir", "features", "--checkpoint-dir", "other"),
            "test_features.npy", where);
        Failed(CommandRunner.RunIn(folder.Path, [], "evaluate", "--features-dir", "features", "--checkpoint",
            "run/best_model.safetensors"), "test_features.npy", where);
    }

    [Fact]
    public void A_checkpoint_folder_that_cannot_be_made_is_named()
    {
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        folder.File("file", "");

        CommandOutcome outcome =
            CommandRunner.RunIn(folder.Path, [], "train", "--features-dir", "features", "--checkpoint-dir", "file/run");

        Failed(outcome, "'file/run'", "--checkpoint-dir");
    }

    /// <summary>A disk that takes the model but not the whole state, which is three times as large.</summary>
    [Fact]
    public void A_checkpoint_that_cannot_be_written_leaves_the_one_before()
    {
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        string[] line = ["train", "--features-dir", "features", "--checkpoint-dir", "run"];
        CommandRunner.RunIn(folder.Path, [], [.. line, "--epochs", "1"]).ExitCode.ShouldBe(0);
        byte[] before = File.ReadAllBytes(folder.File("run/last.ckpt"));

        Failed(CommandRunner.RunLimited(folder.Path, kilobytes: 3000, [.. line, "--epochs", "3", "--resume", "auto"]), "run/last.ckpt",
            "larger than");

        File.ReadAllBytes(folder.File("run/last.ckpt")).ShouldBe(before);
        Directory.GetFiles(folder.File("run"), ".*.tmp").ShouldBeEmpty();
        CommandRunner.RunIn(folder.Path, [], [.. line, "--epochs", "3", "--resume", "auto"]).ExitCode.ShouldBe(0);
    }

    private static void Failed(CommandOutcome outcome, params ReadOnlySpan<string> expected)
    {
        outcome.ExitCode.ShouldBe(1, outcome.Output + outcome.Error);
        string error = outcome.ErrorLines.Where(line => line.StartsWith("error: ", StringComparison.Ordinal)).ShouldHaveSingleItem();
        string hint = outcome.ErrorLines.FirstOrDefault(line => line.StartsWith("hint: ", StringComparison.Ordinal), "");
        foreach (string text in expected)
        {
            (error + hint).ShouldContain(text);
        }

        outcome.Error.ShouldNotContain("   at ");
        outcome.Error.ShouldNotContain("internal error");
        outcome.Output.ShouldBeEmpty();
    }

    /// <summary>Files of text under the names of videos; names that end in / are folders.</summary>
    private static void Create(TemporaryFolder folder, params string[] names)
    {
        foreach (string name in names)
        {
            string path = folder.File(name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            if (!name.EndsWith('/'))
            {
                File.WriteAllText(path, $"this is not a video but {name}");
            }
        }
    }

    private static byte[] BadCheckpoint(string kind) => kind switch
    {
        "text" => [.. "These are my notes."u8],
        "empty" => [],
        "truncated" => [0x10, 0x27, 0, 0, 0, 0, 0, 0, .. "{\"a\":{\"dtype\":\"F32\","u8],
        "header bomb" => [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, .. "{}"u8],
        "data bomb" => WithHeader("{\"a\":{\"dtype\":\"F32\",\"shape\":[1099511627776],\"data_offsets\":[0,4398046511104]}}"u8),

        // A legacy PyTorch file (magic number, protocol, system) whose content runs "touch executed" when Python unpickles it.
        _ =>
        [
            0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, (byte)'.', 0x80, 2, (byte)'M', 0xe9, 0x03,
            (byte)'.',
            0x80, 2, .. "}(X\x0d\0\0\0little_endian"u8, 0x88, .. "u."u8,
            0x80, 2, .. "cposix\nsystem\nX\x0e\0\0\0touch executed"u8, 0x85, .. "R."u8,
        ],
    };

    private static byte[] WithHeader(ReadOnlySpan<byte> header) => [.. BitConverter.GetBytes((long)header.Length), .. header];
}
