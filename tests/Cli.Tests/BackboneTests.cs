using System.Globalization;
using System.Text.Json;
using CudaTrainer.Cli.Tests.Serve;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Video;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Cli.Tests;

/// <summary>--backbone FILE.onnx by the built program: a network that the test makes, of another size than VGG19.</summary>
public sealed class BackboneTests : IDisposable
{
    private const int Frames = 3;

    private static readonly string[] Clips = ["train/violent/a", "train/nonviolent/b", "val/violent/c", "val/nonviolent/d"];

    private readonly TemporaryFolder _folder = new();

    public BackboneTests()
    {
        foreach (string name in Clips)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File($"clips/{name}"))!);
            StripedClip.Write(_folder.File($"clips/{name}.mp4"), name[^1] - 'a' + 1, 12);
        }

        ImageNetwork.WriteClassifier(_folder.File("net.onnx"));
    }

    [Fact]
    public void A_network_from_a_file_extracts_trains_evaluates_predicts_and_serves()
    {
        CommandOutcome extracted = Extract("net.onnx");
        extracted.ExitCode.ShouldBe(0, extracted.Error);
        (extracted.Output + extracted.Error).ShouldContain($"'net.onnx' (ONNX, layer '{ImageNetwork.Layer}')");
        using (FeatureSplits splits = FeatureSplits.Open(_folder.File("cache")))
        {
            (splits.Train.Count, splits.Train.Frames, splits.Train.Dimension).ShouldBe((2, Frames, ImageNetwork.Features));
            var key = splits.Train.Key.ToDictionary();
            key["backbone"].ShouldBe($"onnx-sha256-{FileHash.Sha256(_folder.File("net.onnx"))} {ImageNetwork.Layer}");
            key["resize"].ShouldBe("48x32 bilinear");
            key["preprocessing"].ShouldBe("48x32 nhwc rgb scale=255 mean=0.485,0.456,0.406 deviation=0.229,0.224,0.225");
        }

        CommandOutcome trained = Train("run", "--backbone", "net.onnx");
        trained.Error.ShouldContain("4 of 4 clips are cached, 0 to extract");
        trained.Output.ShouldContain("predict CLIP.mp4 --checkpoint run/best_model.safetensors --backbone net.onnx");
        File.ReadAllText(_folder.File("run/report.html")).ShouldContain("net.onnx");
        using (var results = JsonDocument.Parse(File.ReadAllText(_folder.File("run/training_results.json"))))
        {
            results.RootElement.GetProperty("backbone").GetString()!.ShouldContain("net.onnx");
        }

        CommandOutcome evaluated = Run("evaluate", "--checkpoint", "run", "--dataset-path", "clips", "--cache-dir", "other",
            "--backbone", "net.onnx");
        evaluated.ExitCode.ShouldBe(0, evaluated.Error);
        File.ReadAllBytes(_folder.File("other/val_features.npy")).ShouldBe(File.ReadAllBytes(_folder.File("cache/val_features.npy")));

        // One window over the whole video is the answer without windows.
        double whole = Violent(Predict("run", "--backbone", "net.onnx"));
        Violent(Predict("run", "--backbone", "net.onnx", "--window", "5")).ShouldBe(whole, 1e-6);

        // Three frames of one clip and three of another are at other places of a batch than alone.
        using (var both = JsonDocument.Parse(Run("predict", "clips/train/violent/a.mp4", "clips/val/violent/c.mp4", "--checkpoint", "run",
            "--json", "--backbone", "net.onnx").Output))
        {
            both.RootElement[1].GetProperty("violent").GetDouble().ShouldBe(whole);
        }

        using ServerProcess server = ServerProcess.StartAt(_folder.Path, "--checkpoint", "run", "--backbone", "net.onnx", "--window", "5");
        JsonElement answer = server.WaitFor(server.Upload(_folder.File("clips/val/violent/c.mp4")), "done", "failed");
        answer.GetProperty("result").GetProperty("violent").GetDouble().ShouldBe(whole, 1e-6);
        server.Get("api/health").Answer.GetProperty("model").GetProperty("backbone").GetString()!.ShouldContain(ImageNetwork.Layer);
    }

    [Fact]
    public void A_model_asks_for_the_backbone_that_it_was_trained_with_and_takes_no_other()
    {
        Train("run", "--backbone", "net.onnx", "--backbone-input", "bgr");
        double right = Violent(Predict("run", "--backbone", "net.onnx"));
        File.Copy(_folder.File("net.onnx"), _folder.File("copy.onnx"));
        Violent(Predict("run", "--backbone", "copy.onnx")).ShouldBe(right);

        Refused(Predict("run"), "trained on features of another backbone: 'net.onnx'", "--backbone FILE");
        Refused(Predict("run", "--backbone", "net.onnx", "--backbone-input", "rgb"), "48x32 nhwc bgr", "48x32 nhwc rgb");
        Refused(Predict("run", "--backbone", "net.onnx", "--backbone-layer", "pooled"), "'net.onnx' (ONNX, layer 'pooled')");
        ImageNetwork.WriteClassifier(_folder.File("net.onnx"), gain: 2);
        Refused(Predict("run", "--backbone", "net.onnx"), "trained on features of another backbone", "--backbone FILE");
        Refused(Run("evaluate", "--checkpoint", "run", "--dataset-path", "clips", "--backbone", "net.onnx"), "another backbone");
        Refused(Run("export", "--model", "run", "--onnx", "whole.onnx", "--whole"), "another backbone", "--backbone FILE");

        CommandOutcome exported = Run("export", "--model", "run", "--onnx", "alone.onnx");
        exported.ExitCode.ShouldBe(0, exported.Error);
        OnnxModel.Open(_folder.File("alone.onnx")).Metadata["preprocessing"].ShouldStartWith("48x32 nhwc bgr");
    }

    [Fact]
    public void A_model_of_features_from_files_predicts_with_the_backbone_that_made_them()
    {
        Extract("net.onnx").ExitCode.ShouldBe(0);
        string[] train = ["train", "--features-dir", "cache", "--model", "frame-mlp", "--epochs", "1"];
        Run([.. train, "--checkpoint-dir", "known"]).ExitCode.ShouldBe(0);
        foreach (string split in (string[])["train", "val"])
        {
            Directory.CreateDirectory(_folder.File("foreign"));
            foreach (string kind in (string[])["features", "labels"])
            {
                File.Copy(_folder.File($"cache/{split}_{kind}.npy"), _folder.File($"foreign/{split}_{kind}.npy"));
            }
        }

        train[2] = "foreign";
        Run([.. train, "--checkpoint-dir", "unknown"]).ExitCode.ShouldBe(0);

        double answer = Violent(Predict("known", "--backbone", "net.onnx"));
        Refused(Predict("known"), "another backbone", "--backbone FILE");
        Violent(Predict("unknown", "--backbone", "net.onnx")).ShouldBe(answer, 1e-6);
        Violent(Predict("unknown", "--backbone", "net.onnx", "--backbone-input", "mean=0")).ShouldNotBe(answer);
        Refused(Predict("unknown"), "another backbone");
        Refused(Predict("unknown", "--backbone", "net.onnx", "--backbone-layer", "conv"), "takes 8 features a frame", "come 616");
    }

    [Theory]
    [InlineData("cpu:2")]
    [InlineData("reference")]
    [InlineData("cuda")]
    public void Every_device_gets_the_same_features(string device)
    {
        Assert.SkipUnless(device != "cuda" || CudaTests.HasSimulator, "the simulator has not been built");
        Extract("net.onnx").ExitCode.ShouldBe(0);

        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, device == "cuda" ? CudaTests.Simulated : [], "extract", "--dataset-path",
            "clips", "--cache-dir", "other", "--frames", $"{Frames}", "--backbone", "net.onnx", "--device", device);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        File.ReadAllBytes(_folder.File("other/train_features.npy")).ShouldBe(File.ReadAllBytes(_folder.File("cache/train_features.npy")));
    }

    [Fact]
    public void Another_network_layer_or_preparation_is_extracted_anew_and_both_streams_go_side_by_side()
    {
        Extract("net.onnx").Error.ShouldContain("4 to extract");
        Extract("net.onnx").Error.ShouldContain("0 to extract");
        Extract("net.onnx", "--backbone-input", "mean=0").Error.ShouldContain("4 to extract");
        Extract("net.onnx", "--backbone-layer", "pooled").Error.ShouldContain("4 to extract");
        ImageNetwork.WriteClassifier(_folder.File("net.onnx"), gain: 2);
        Extract("net.onnx").Error.ShouldContain("4 to extract");

        Train("both", "--backbone", "net.onnx", "--stream", "both");
        using (FeatureSplits splits = FeatureSplits.Open(_folder.File("cache/both")))
        {
            splits.Train.Dimension.ShouldBe(ImageNetwork.Features + MotionFeatures.PerStep);
        }

        Violent(Predict("both", "--backbone", "net.onnx")).ShouldBeInRange(0, 1);
    }

    /// <summary>The means of each channel say how pixels came in.</summary>
    [Theory]
    [InlineData("n 3 32 48", "", "48x32 nchw rgb scale=255 mean=0.485,0.456,0.406 deviation=0.229,0.224,0.225", 0.485, 0.456, 0.406)]
    [InlineData("n 32 48 3", "caffe", "48x32 nhwc bgr scale=1 mean=103.939,116.779,123.68 deviation=1,1,1", 103.939, 116.779, 123.68)]
    [InlineData("2 3 h w", "40x24 bgr scale=1 mean=0 deviation=2", "40x24 nchw bgr scale=1 mean=0,0,0 deviation=2,2,2", 0, 0, 0)]
    [InlineData("n h w c", "nhwc scale=127.5 mean=1 deviation=1", "224x224 nhwc rgb scale=127.5 mean=1,1,1 deviation=1,1,1", 1, 1, 1)]
    [InlineData("u 32 48 3", "bgr", "48x32 nhwc bgr uint8", 0, 0, 0)]
    public void Frames_come_in_as_the_file_and_the_options_say(string shape, string input, string recorded, double mean0, double mean1,
        double mean2)
    {
        string[] parts = shape.Split(' ');
        OnnxDimension[] dimensions = [.. parts.Select(part => int.TryParse(part, out int length) ? (OnnxDimension)length : part)];
        bool first = recorded.Contains("nchw"), isBytes = recorded.EndsWith("uint8", StringComparison.Ordinal);
        ImageNetwork.WriteMeans(_folder.File("means.onnx"), isBytes ? ElementType.U8 : ElementType.F32, first, dimensions);

        CommandOutcome outcome = Extract("means.onnx", input.Length > 0 ? ["--backbone-input", input] : []);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using FeatureSplits splits = FeatureSplits.Open(_folder.File("cache"));
        splits.Validation.Key.ToDictionary()["preprocessing"].ShouldBe(recorded);
        int[] size = [.. recorded.Split(' ')[0].Split('x').Select(int.Parse)];
        double[] numbers = [.. recorded.Replace("uint8", "scale=1 deviation=1,1,1").Split(' ').Where(part => !part.Contains("mean"))
            .Where(part => part.Contains('=')).Select(part => double.Parse(part.Split('=')[1].Split(',')[0],
                CultureInfo.InvariantCulture))];
        double[] means = [mean0, mean1, mean2],
            deviations = recorded.Contains("0.229") ? [0.229, 0.224, 0.225] : [numbers[1], numbers[1], numbers[1]];
        byte[] rgb = new byte[Frames * size[0] * size[1] * 3];
        for (int clip = 0; clip < 2; clip++)
        {
            VideoReader.Read(_folder.File($"clips/{splits.Validation.Names[clip]}"), Frames, rgb,
                new VideoReadOptions { Width = size[0], Height = size[1] });
            float[] features = new float[Frames * 3];
            splits.Validation.ReadRow(clip, features);
            for (int i = 0; i < features.Length; i++)
            {
                int channel = recorded.Contains("bgr") ? 2 - (i % 3) : i % 3;
                double pixel = rgb.Chunk(rgb.Length / Frames).ElementAt(i / 3).Where((_, place) => place % 3 == channel)
                    .Average(value => (double)value);
                features[i].ShouldBe((float)(((pixel / numbers[0]) - means[i % 3]) / deviations[i % 3]), 1e-2f);
            }
        }
    }

    /// <summary>
    /// The means of each channel of each frame of a segment say which frames the network saw: of 3 sampled ones those of segments that
    /// follow each other, of which the last ends with the clip, or all from the start again where a segment is longer.
    /// </summary>
    [Theory]
    [InlineData(true, 2, "", "01 01 12")]
    [InlineData(false, 2, "", "01 01 12")]
    [InlineData(true, 3, "", "012 012 012")]
    [InlineData(true, 5, "", "01201 01201 01201")]
    [InlineData(true, 0, "", "012 012 012")]
    [InlineData(true, 0, "48x32x1", "0 1 2")]
    public void A_video_network_sees_segments_of_a_clip(bool channelsFirst, int length, string input, string seen)
    {
        ImageNetwork.WriteMeans(_folder.File("image.onnx"), ElementType.F32, true, "n", 3, 32, 48);
        Extract("image.onnx").ExitCode.ShouldBe(0);
        float[][] frames = [.. Features().Chunk(3)];
        OnnxDimension time = length > 0 ? length : "t";
        var graph = new OnnxGraph("video");
        string x = channelsFirst
            ? graph.Input("clip", ElementType.F32, "n", 3, time, 32, 48)
            : graph.Add("Transpose", "planes", [graph.Input("clip", ElementType.F32, "n", time, 32, 48, 3)],
                OnnxAttribute.Of("perm", [0, 4, 1, 2, 3]));
        x = graph.Add("ReduceMean", "means", [x], OnnxAttribute.Of("axes", [3, 4]), OnnxAttribute.Of("keepdims", 0));
        graph.Output(x, ElementType.F32);
        ImageNetwork.Write(_folder.File("video.onnx"), graph);

        CommandOutcome outcome = Extract("video.onnx", input.Length > 0 ? ["--backbone-input", input] : []);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        string[] segments = seen.Split(' ');
        float[][] expected = [.. segments.Select(segment =>
            Enumerable.Range(0, 3).SelectMany(channel => segment.Select(frame => frames[frame - '0'][channel])).ToArray())];
        float[] features = Features();
        features.Length.ShouldBe(expected.Sum(row => row.Length));
        foreach ((float actual, float mean) in features.Zip(expected.SelectMany(row => row)))
        {
            actual.ShouldBe(mean, 1e-4f);
        }

        float[] Features()
        {
            using FeatureSplits splits = FeatureSplits.Open(_folder.File("cache"));
            float[] row = new float[splits.Train.Frames * splits.Train.Dimension];
            splits.Train.ReadRow(1, row);
            return row;
        }
    }

    [Fact]
    public void A_model_of_a_video_network_predicts_with_and_without_windows()
    {
        var graph = new OnnxGraph("video");
        string x = graph.Input("clip", ElementType.F32, 1, 3, 2, 32, 48);
        x = graph.Add("Abs", "sizes", [x]);
        x = graph.Add("ReduceMean", "means", [x], OnnxAttribute.Of("axes", [3, 4]), OnnxAttribute.Of("keepdims", 0));
        graph.Output(x, ElementType.F32);
        ImageNetwork.Write(_folder.File("video.onnx"), graph);
        Train("run", "--backbone", "video.onnx").Output.ShouldContain("2 frames at a time");

        double whole = Violent(Predict("run", "--backbone", "video.onnx"));
        Violent(Predict("run", "--backbone", "video.onnx", "--window", "5")).ShouldBe(whole);
    }

    [Theory]
    [InlineData("net.onnx", "bgr", 5)]
    [InlineData("means.onnx", "scale=127.5 mean=1 deviation=0.5", 5)]
    [InlineData("bytes.onnx", "", 5)]
    [InlineData("video.onnx", "", 6)]
    [InlineData("nested.onnx", "", 8)]
    public void A_network_and_its_classifier_are_one_file_that_answers_alike(string network, string input, int operations)
    {
        Networks();
        Train("run", ["--backbone", network, .. input.Length > 0 ? ["--backbone-input", input] : Array.Empty<string>()]);

        CommandOutcome outcome = Run("export", "--model", "run", "--whole", "--backbone", network, "--onnx", "whole.onnx", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Output);
        json.RootElement.GetProperty("operations").GetInt32().ShouldBeGreaterThan(operations);
        JsonElement frames = json.RootElement.GetProperty("inputs").EnumerateArray().ShouldHaveSingleItem();
        (frames.GetProperty("name").GetString(), frames.GetProperty("type").GetString()).ShouldBe(("frames", "U8"));
        frames.GetProperty("shape").EnumerateArray().Select(length => length.GetString()).ShouldBe(["batch", $"{Frames}", "32", "48", "3"]);
        json.RootElement.GetProperty("check").GetProperty("runtime").GetString().ShouldNotBeNullOrEmpty();
        json.RootElement.GetProperty("check").GetProperty("differences").GetProperty("probabilities").GetDouble().ShouldBeLessThan(1e-4);
        var whole = OnnxModel.Open(_folder.File("whole.onnx"));
        whole.Metadata["backbone"].ShouldStartWith("onnx-sha256-");
        whole.ComputedValues.Count(value => value.StartsWith("backbone/", StringComparison.Ordinal)).ShouldBeGreaterThan(1);
        CommandOutcome readBack = Run("export", "--model", "run", "--whole", "--backbone", network, "--onnx", "again.onnx", "--no-check");
        readBack.ExitCode.ShouldBe(0, readBack.Error);
        File.ReadAllBytes(_folder.File("again.onnx")).ShouldBe(File.ReadAllBytes(_folder.File("whole.onnx")));
    }

    /// <summary>The file's answer to frames as they are decoded is predict's.</summary>
    [Fact]
    public void Weights_beside_the_network_are_taken_in_and_the_file_stands_alone()
    {
        Networks();
        File.WriteAllBytes(_folder.File("factor.bin"), BitConverter.GetBytes(3f));
        Train("run", "--backbone", "external.onnx", "--backbone-layer", "scaled");
        CommandOutcome outcome = Run("export", "--model", "run", "--whole", "--backbone", "external.onnx", "--onnx", "whole.onnx");
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        File.Delete(_folder.File("factor.bin"));
        byte[] frames = new byte[Frames * 32 * 48 * 3];
        VideoReader.Read(_folder.File("clips/val/violent/c.mp4"), Frames, frames, new VideoReadOptions { Width = 48, Height = 32 });

        OnnxAnswer answer = new OnnxRuntime.OnnxRuntimeRunner().Run(_folder.File("whole.onnx"),
            new OnnxInput("frames", ElementType.U8, [1, Frames, 32, 48, 3], frames), CancellationToken.None);

        _folder.File("factor.bin", BitConverter.GetBytes(3f));
        answer.Outputs["probabilities"][1].ShouldBe(
            Violent(Predict("run", "--backbone", "external.onnx", "--backbone-layer", "scaled")), 1e-5);
    }

    [Theory]
    [InlineData("old.onnx", "its operation Clip is that of version 10, which is written otherwise from 11 on", "opset")]
    [InlineData("three.onnx", "it takes 3 frames at once, no more and no fewer", "first length of its input open")]
    public void What_cannot_be_joined_is_refused_with_the_reason(string network, string why, string hint)
    {
        Networks();
        Train("run", "--backbone", network);

        Refused(Run("export", "--model", "run", "--whole", "--backbone", network, "--onnx", "whole.onnx"), why, hint);
        File.Exists(_folder.File("whole.onnx")).ShouldBeFalse();
    }

    /// <summary>On the simulator, on which ONNX Runtime with CUDA cannot run: it says why, and the processor's features are used.</summary>
    [Theory]
    [InlineData(false, "there is no '", "/libonnxruntime_providers_cuda.so', which 'scripts/setup.sh --onnx-gpu' brings")]
    [InlineData(true, "", "/libonnxruntime.so' cannot be loaded")]
    public void On_a_GPU_without_ONNX_Runtime_for_it_the_processor_computes_and_that_is_said(bool hasBoth, string why, string rest)
    {
        Assert.SkipUnless(CudaTests.HasSimulator, "the simulator has not been built");
        Directory.CreateDirectory(_folder.File("gpu"));
        _folder.File("gpu/libonnxruntime.so", "no library");
        if (hasBoth)
        {
            _folder.File("gpu/libonnxruntime_providers_cuda.so", "no library");
        }

        Dictionary<string, string?> environment = new(CudaTests.Simulated) { ["CUDATRAINER_ONNXRUNTIME"] = _folder.File("gpu") };
        string[] line = ["extract", "--dataset-path", "clips", "--frames", $"{Frames}", "--backbone", "net.onnx"];

        CommandOutcome gpu = CommandRunner.RunIn(_folder.Path, environment, [.. line, "--device", "cuda", "--cache-dir", "gpu-cache"]);
        CommandOutcome cpu = CommandRunner.RunIn(_folder.Path, environment, [.. line, "--device", "cpu", "--cache-dir", "cpu-cache"]);

        gpu.ExitCode.ShouldBe(0, gpu.Error);
        gpu.ErrorLines.Single(text => text.Contains("ONNX Runtime on")).ShouldBe(
            $"the backbone runs in ONNX Runtime on the processor: {why}{(hasBoth ? "'" : "")}{_folder.File("gpu")}{rest}");
        cpu.ExitCode.ShouldBe(0, cpu.Error);
        cpu.Error.ShouldNotContain("ONNX Runtime");
        File.ReadAllBytes(_folder.File("gpu-cache/train_features.npy")).ShouldBe(
            File.ReadAllBytes(_folder.File("cpu-cache/train_features.npy")));

        Train("run", "--backbone", "net.onnx");
        CommandOutcome predicted = CommandRunner.RunIn(_folder.Path, environment, "predict", "clips/val/violent/c.mp4", "--checkpoint",
            "run", "--backbone", "net.onnx", "--device", "cuda");
        predicted.ErrorLines.Single(text => text.Contains("ONNX Runtime on")).ShouldContain("ONNX Runtime on the processor: ");
    }

    [Fact]
    public void Options_of_a_backbone_need_the_whole()
    {
        CommandOutcome outcome = Run("export", "--model", "run", "--onnx", "x.onnx", "--backbone", "net.onnx", "--backbone-layer", "a");

        outcome.ExitCode.ShouldBe(2);
        outcome.Error.ShouldContain("--backbone: needs --whole; a classifier alone has no backbone");
        outcome.Error.ShouldContain("--backbone-layer: needs --whole");
    }

    /// <summary>Networks of every kind that can, and cannot, be joined with a classifier.</summary>
    private void Networks()
    {
        ImageNetwork.WriteMeans(_folder.File("means.onnx"), ElementType.F32, channelsFirst: true, "n", 3, 32, 48);
        ImageNetwork.WriteMeans(_folder.File("bytes.onnx"), ElementType.U8, channelsFirst: false, "n", 32, 48, 3);
        ImageNetwork.WriteMeans(_folder.File("three.onnx"), ElementType.F32, channelsFirst: true, 3, 3, 32, 48);
        var video = new OnnxGraph("video");
        string x = video.Add("Abs", "sizes", [video.Input("clip", ElementType.F32, "n", 3, 2, 32, 48)]);
        x = video.Add("ReduceMean", "features", [x], OnnxAttribute.Of("axes", [2, 3, 4]), OnnxAttribute.Of("keepdims", 0));
        video.Output(x, ElementType.F32);
        ImageNetwork.Write(_folder.File("video.onnx"), video);

        // Values are called as those of the classifier's graph, and a branch has a graph of its own.
        ImageNetwork.WriteNested(_folder.File("nested.onnx"));
        var external = new OnnxGraph("external");
        x = external.Add("GlobalAveragePool", "pooled", [external.Input("pixels", ElementType.F32, "n", 3, 32, 48)]);
        external.Output(external.Add("Mul", "scaled", [x, external.Input("factor", ElementType.F32, 1)]), ElementType.F32);
        ImageNetwork.Write(_folder.File("external.onnx"), external);
        ImageNetwork.AppendExternalWeight(_folder.File("external.onnx"), "factor", "factor.bin");
        var old = new OnnxGraph("old");
        x = old.Add("Clip", "features", [old.Add("GlobalAveragePool", "pooled", [old.Input("pixels", ElementType.F32, "n", 3, 32, 48)])]);
        old.Output(old.Add("Flatten", "flat", [x]), ElementType.F32);
        ImageNetwork.Write(_folder.File("old.onnx"), old, new() { ["cudatrainer_layer"] = "features" });
        ImageNetwork.SetOpset(_folder.File("old.onnx"), 10);
    }

    /// <summary>A weight may stand among the inputs, and lie in a file beside the model.</summary>
    [Fact]
    public void Weights_in_a_file_beside_the_model_are_used()
    {
        var graph = new OnnxGraph("external");
        string x = graph.Add("GlobalAveragePool", "pooled", [graph.Input("pixels", ElementType.F32, "n", 3, 32, 48)]);
        graph.Output(graph.Add("Mul", "scaled", [x, graph.Input("factor", ElementType.F32, 1)]), ElementType.F32);
        ImageNetwork.Write(_folder.File("external.onnx"), graph);
        ImageNetwork.AppendExternalWeight(_folder.File("external.onnx"), "factor", "factor.bin");

        _folder.File("factor.bin", BitConverter.GetBytes(1f));
        float[] once = Features();
        _folder.File("factor.bin", BitConverter.GetBytes(2f));
        Features().ShouldBe(once.Select(value => 2 * value));

        float[] Features()
        {
            CommandOutcome outcome = Extract("external.onnx", "--backbone-layer", "scaled");
            outcome.ExitCode.ShouldBe(0, outcome.Error);
            outcome.Error.ShouldContain("4 to extract");
            using FeatureSplits splits = FeatureSplits.Open(_folder.File("cache"));
            float[] features = new float[Frames * 3];
            splits.Train.ReadRow(0, features);
            return features;
        }
    }

    /// <summary>
    /// Networks that were exported for one frame take several where that gives the same, and one where it does not: here the same means
    /// of channels, once as they are, once written so that several frames do not fit, once mixing the frames of a batch.
    /// </summary>
    [Fact]
    public void A_network_for_one_frame_gives_what_it_gives_for_one()
    {
        Features("n", (graph, x) => x).ShouldBe(Features("1", (graph, x) => x));
        float[] expected = Features("1", (graph, x) => x);
        Features("1", (graph, x) => graph.Add("Reshape", "flat", [x, graph.Constant<long>("shape", [1, 3], 2)])).ShouldBe(expected);
        Features("1", (graph, x) => graph.Add("Mul", "same", [x, graph.Add("Sub", "nothing", [graph.Constant<float>("one", [1], 1),
            graph.Add("Sub", "zero", [x, graph.Add("ReduceMean", "mixed", [x], OnnxAttribute.Of("axes", [0]))])])])).ShouldBe(expected);

        float[] Features(string batch, Func<OnnxGraph, string, string> end)
        {
            var graph = new OnnxGraph("means");
            string x = graph.Input("pixels", ElementType.F32, batch == "1" ? 1 : batch, 3, 32, 48);
            x = graph.Add("ReduceMean", "means", [x], OnnxAttribute.Of("axes", [2, 3]), OnnxAttribute.Of("keepdims", 0));
            graph.Output(end(graph, x), ElementType.F32);
            ImageNetwork.Write(_folder.File("one.onnx"), graph);
            CommandOutcome outcome = Extract("one.onnx", "--backbone-layer", graph.Outputs[0].Name);
            outcome.ExitCode.ShouldBe(0, outcome.Error);
            using FeatureSplits splits = FeatureSplits.Open(_folder.File("cache"));
            float[] features = new float[Frames * 3];
            splits.Train.ReadRow(1, features);
            return features;
        }
    }

    public void Dispose() => _folder.Dispose();

    private static double Violent(CommandOutcome outcome)
    {
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Output);
        return json.RootElement[0].GetProperty("violent").GetDouble();
    }

    private static void Refused(CommandOutcome outcome, params string[] texts)
    {
        outcome.ExitCode.ShouldBe(1, outcome.Output + outcome.Error);
        outcome.Error.ShouldNotContain("internal error");
        foreach (string text in texts)
        {
            outcome.Error.ShouldContain(text);
        }
    }

    private CommandOutcome Extract(string file, params string[] options) =>
        Run(["extract", "--dataset-path", "clips", "--cache-dir", "cache", "--frames", $"{Frames}", "--backbone", file, .. options]);

    private CommandOutcome Train(string folder, params string[] options)
    {
        CommandOutcome trained = Run(["train", "--dataset-path", "clips", "--cache-dir", "cache", "--checkpoint-dir", folder,
            "--frames", $"{Frames}", "--model", "frame-mlp", "--epochs", "1", .. options]);
        trained.ExitCode.ShouldBe(0, trained.Error);
        return trained;
    }

    private CommandOutcome Predict(string model, params string[] options) =>
        Run(["predict", "clips/val/violent/c.mp4", "--checkpoint", model, "--json", .. options]);

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);
}
