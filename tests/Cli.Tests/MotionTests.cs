using System.Text.Json;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;

namespace CudaTrainer.Cli.Tests;

/// <summary>--stream by the built program, on a few drawn clips.</summary>
public sealed class MotionTests : IDisposable
{
    private static readonly string[] Model = ["--model", "frame-mlp", "--epochs", "2", "--frames", "2", "--dataset-path", "clips"];

    private readonly TemporaryFolder _folder = new();

    public MotionTests()
    {
        foreach (string name in new[] { "train/violent/a", "train/nonviolent/b", "val/violent/c", "val/nonviolent/d" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File($"clips/{name}"))!);
            Draw(_folder.File($"clips/{name}.mp4"), 12, speed: name[^1] - 'a');
        }
    }

    [Fact]
    public void Motion_alone_is_trained_on_predicted_and_evaluated_without_a_backbone()
    {
        CommandOutcome trained = Run(["train", "--stream", "motion", "--checkpoint-dir", "run", .. Model]);
        trained.ExitCode.ShouldBe(0, trained.Error);
        (trained.Output + trained.Error).ShouldNotContain("VGG19");
        Directory.EnumerateFiles(_folder.File("feature_cache"), "*.npy").ShouldBeEmpty();
        using (FeatureSplits splits = FeatureSplits.Open(_folder.File("feature_cache/motion")))
        {
            (splits.Train.Frames, splits.Train.Dimension).ShouldBe((2, MotionFeatures.PerStep));
        }

        string model = "run/best_model.safetensors";
        using (ITensorArchive archive = TensorArchive.Open(_folder.File(model)))
        {
            using var info = JsonDocument.Parse(archive.Metadata["model"]);
            info.RootElement.EnumerateObject().Single(field => field.Name.Equals("stream", StringComparison.OrdinalIgnoreCase))
                .Value.GetString().ShouldBe("Motion");
        }

        // One window over the whole video is the answer without windows, but for the frames after the last pair.
        double whole = Violent(Run("predict", "clips/train/violent/a.mp4", "--checkpoint", model, "--json"));
        Violent(Run("predict", "clips/train/violent/a.mp4", "--checkpoint", model, "--json", "--window", "5")).ShouldBe(whole, 0.02);
        Violent(Run("predict", "clips/val/nonviolent/d.mp4", "--checkpoint", model, "--json")).ShouldNotBe(whole);

        CommandOutcome evaluated = Run("evaluate", "--checkpoint", model, "--dataset-path", "clips", "--cache-dir", "other");
        evaluated.ExitCode.ShouldBe(0, evaluated.Error);
        File.Exists(_folder.File("other/motion/val_features.npy")).ShouldBeTrue();

        Run("export", "--model", "run", "--onnx", "model.onnx").ExitCode.ShouldBe(0);
        CommandOutcome export = Run("export", "--model", "run", "--onnx", "whole.onnx", "--whole");
        export.ExitCode.ShouldBe(0, export.Error);
        File.ReadAllBytes(_folder.File("whole.onnx")).Length.ShouldBe(File.ReadAllBytes(_folder.File("model.onnx")).Length);
    }

    [Fact]
    public void Both_streams_share_the_caches_of_each_and_leave_them_as_they_are()
    {
        Run(["extract", "--stream", "rgb", "--cache-dir", "apart", "--frames", "2", "--dataset-path", "clips"]).ExitCode.ShouldBe(0);
        Run(["extract", "--stream", "motion", "--cache-dir", "apart", "--frames", "2", "--dataset-path", "clips"]).ExitCode.ShouldBe(0);
        CommandOutcome trained = Run(["train", "--stream", "both", "--cache-dir", "together", "--checkpoint-dir", "run", .. Model]);
        trained.ExitCode.ShouldBe(0, trained.Error);
        (trained.Output + trained.Error).ShouldContain("4 to extract");
        foreach (string file in new[] { "train_features.npy", "train_rows.json", "val_features.npy", "motion/train_features.npy", "motion/val_rows.json" })
        {
            File.ReadAllBytes(_folder.File($"together/{file}")).ShouldBe(File.ReadAllBytes(_folder.File($"apart/{file}")), file);
        }

        CommandOutcome joined = Run(["train", "--stream", "both", "--cache-dir", "apart", "--checkpoint-dir", "run2", .. Model]);
        joined.ExitCode.ShouldBe(0, joined.Error);
        (joined.Output + joined.Error).ShouldContain("0 to extract");
        File.ReadAllBytes(_folder.File("apart/both/val_features.npy"))
            .ShouldBe(File.ReadAllBytes(_folder.File("together/both/val_features.npy")));
        using FeatureSet rgb = FeatureSet.Open(_folder.File("apart"), DatasetSplit.Train),
            motion = FeatureSet.Open(_folder.File("apart/motion"), DatasetSplit.Train),
            both = FeatureSet.Open(_folder.File("apart/both"), DatasetSplit.Train);
        float[][] rows = [.. new[] { rgb, motion, both }.Select(set =>
        {
            float[] row = new float[set.Frames * set.Dimension];
            set.ReadRow(1, row);
            return row;
        })];
        int second = Vgg19.Features + MotionFeatures.PerStep;
        rows[2][second..(second + Vgg19.Features)].ShouldBe(rows[0][Vgg19.Features..]);
        rows[2][(second + Vgg19.Features)..].ShouldBe(rows[1][MotionFeatures.PerStep..]);

        double violent = Violent(Run("predict", "clips/train/violent/a.mp4", "--checkpoint", "run/best_model.safetensors", "--json"));
        violent.ShouldBe(Violent(Run("predict", "clips/train/violent/a.mp4", "--checkpoint", "run2/best_model.safetensors", "--json")));
        violent.ShouldBe(Violent(
            Run("predict", "clips/train/violent/a.mp4", "--checkpoint", "run/best_model.safetensors", "--json", "--window", "5")), 0.02);
    }

    [Fact]
    public void A_resumed_run_has_the_same_model()
    {
        string[] line = ["train", "--stream", "motion", "--model", "frame-mlp", "--frames", "2", "--dataset-path", "clips",
            "--early-stopping-patience", "0"];
        Run([.. line, "--checkpoint-dir", "once", "--epochs", "4", "--checkpoint-every", "2", "--lr-schedule", "constant"])
            .ExitCode.ShouldBe(0);
        Run([.. line, "--checkpoint-dir", "twice", "--epochs", "4", "--lr-schedule", "constant", "--resume",
            "once/checkpoint_epoch_002.ckpt"]).ExitCode.ShouldBe(0);
        using ITensorArchive once = TensorArchive.Open(_folder.File("once/last.ckpt"));
        using ITensorArchive twice = TensorArchive.Open(_folder.File("twice/last.ckpt"));
        foreach (string name in new[] { "dense_1.weight", "input.whitening" })
        {
            float[] a = new float[once.Entries[name].ElementCount], b = new float[a.Length];
            once.Read(name, a);
            twice.Read(name, b);
            b.ShouldBe(a, name);
        }
    }

    [Fact]
    public void Weights_of_a_backbone_make_no_sense_with_motion_alone()
    {
        CommandOutcome outcome = Run("train", "--stream", "motion", "--weights", "vgg19.pth", "--dataset-path", "clips");
        outcome.ExitCode.ShouldBe(2);
        outcome.Error.ShouldContain("--weights");
    }

    public void Dispose() => _folder.Dispose();

    private static double Violent(CommandOutcome outcome)
    {
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Output);
        return json.RootElement[0].GetProperty("violent").GetDouble();
    }

    private static void Draw(string path, int frames, int speed)
    {
        using VideoWriter writer = new(path,
            new VideoWriterOptions { Width = 96, Height = 64, Codec = VideoCodec.Mpeg4, FrameRate = new(15) });
        byte[] rgb = new byte[writer.FrameBytes];
        for (int frame = 0; frame < frames; frame++)
        {
            for (int i = 0; i < rgb.Length; i++)
            {
                int x = (i / 3 % 96) + (speed * frame), y = i / 3 / 96;
                rgb[i] = (byte)(128 + (50 * Math.Sin(0.2 * x)) + (50 * Math.Sin((0.3 * y) + (0.1 * x))));
            }

            writer.AddFrame(rgb);
        }

        writer.Close();
    }

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);
}
