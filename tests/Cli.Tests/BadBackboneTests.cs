using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Cli.Tests;

/// <summary>Backbones that cannot be used: one clear error each, whatever is wrong with the file.</summary>
public sealed class BadBackboneTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public BadBackboneTests()
    {
        foreach (string name in (string[])["violent/a", "violent/b", "violent/c", "nonviolent/d", "nonviolent/e", "nonviolent/f"])
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File($"clips/{name}"))!);
            StripedClip.Write(_folder.File($"clips/{name}.mp4"), name[^1] - 'a' + 1, 2);
        }
    }

    public static TheoryData<string, string, string> Files => new()
    {
        { "missing", "net.onnx", "" },
        { "text", "this is no ONNX model, or it is damaged", "Export or download it again" },
        { "empty", "net.onnx", "" },
        { "cut off", "cut off", "Export or download it again" },
        { "safetensors", "this is no ONNX model, or it is damaged", "" },
        { "two inputs", "it has 2 inputs ('left', 'right'); an image network has one", "only input" },
        { "no input", "it has 0 inputs", "" },
        { "gray", "[?, 1, 32, 48]: as nchw it has 1 channels, frames have 3", "--backbone-input" },
        { "flat", "[?, 4608]; that of an image network is", "Export it for pictures" },
        { "video of grays", "[?, 1, 8, 32, 48]: as nchw it has 1 channels", "--backbone-input" },
        { "integers", "its input 'pixels' is I64", "" },
        { "unknown operation", "ONNX Runtime refuses the model: ", "Nonsense" },
        { "wrong shapes", "ONNX Runtime refuses the model: ", "" },
        { "not finite", "layer 'root' gives NaN for a frame", "--backbone-input" },
        { "ends elsewhere", "it does not end in a classifier, or in pooling", "--backbone-layer; the last ones are 'out', 'conv'" },
        { "over the batch", "for 10 frames, not numbers for each", "--backbone-layer" },
        { "too wide", "layer 'conv' gives 307,200 numbers for a frame; at most 65,536 can be features", "--backbone-layer" },
        { "huge batch", "it takes 2000000000 frames", "Export it for fewer" },
        { "external", "its weights lie in another file, 'weights.bin', which is not beside it", "same folder" },
        { "outside", "its weights are said to lie in '../weights.bin', which is outside of its folder", "" },
        { "bad metadata", "its metadata 'cudatrainer_input': \"sideways\" is not valid", "Correct it there" },
        { "bad layer", "it computes no value 'nowhere'", "--backbone-layer; the last ones are 'probabilities', 'classes'" },
    };

    [Theory]
    [MemberData(nameof(Files))]
    public void A_file_that_cannot_be_used_is_refused_before_any_video_is_read(string kind, string message, string hint)
    {
        Write(kind);

        CommandOutcome outcome = Extract("--backbone", "net.onnx");

        outcome.ExitCode.ShouldBe(1, outcome.Error);
        string[] errors = [.. outcome.ErrorLines.Where(line => line.StartsWith("error: ", StringComparison.Ordinal))];
        errors.ShouldHaveSingleItem(outcome.Error).ShouldContain("net.onnx");
        errors[0].ShouldNotContain("internal error");
        outcome.Error.ShouldContain(message);
        outcome.Error.ShouldContain(hint);
        Directory.Exists(_folder.File("cache")).ShouldBeFalse();
    }

    [Theory]
    [InlineData("--backbone-input 64x64", 1, "which does not fit frames of 64x64 pixels")]
    [InlineData("--backbone-input uint8", 1, "takes floats, not bytes")]
    [InlineData("--backbone-input 48x32x16", 1, "which does not fit frames of 48x32 pixels and clips of 16")]
    [InlineData("--backbone-input nchw", 1, "as nchw it has 32 channels")]
    [InlineData("--backbone-layer nothing", 1, "it computes no value 'nothing'")]
    [InlineData("--backbone-layer pixels", 1, "it computes no value 'pixels'")]
    [InlineData("--backbone-input deviation=0", 2, "--backbone-input: \"deviation=0\" is not valid; expected parts such as")]
    [InlineData("--backbone-input mean=1,2", 2, "--backbone-input: \"mean=1,2\" is not valid")]
    [InlineData("--backbone-input 0x99999", 2, "--backbone-input: \"0x99999\" is not valid")]
    [InlineData("--weights w.pth", 2, "--weights: is of vgg19; --backbone ")]
    [InlineData("--stream motion", 2, "--backbone: no backbone is used with --stream motion")]
    [InlineData("--backbone vgg19 --backbone-layer x", 2, "--backbone-layer: needs --backbone FILE.onnx")]
    public void Options_that_do_not_fit_are_refused(string options, int code, string message)
    {
        ImageNetwork.WriteClassifier(_folder.File("net.onnx"));

        CommandOutcome outcome = Extract(["--backbone", "net.onnx", .. options.Split(' ')]);

        outcome.ExitCode.ShouldBe(code, outcome.Error);
        outcome.Error.ShouldContain(message);
        outcome.Error.ShouldNotContain("internal error");
    }

    [Fact]
    public void Without_its_package_resnet18_names_the_command_that_brings_it()
    {
        Dictionary<string, string?> environment = new() { ["CUDATRAINER_BACKBONES"] = _folder.Path };

        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, environment, "extract", "--dataset-path", "clips", "--backbone",
            "resnet18");

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain($"The backbone resnet18 is not here: there is no '{_folder.File("resnet18.onnx")}'.");
        outcome.Error.ShouldContain("'scripts/setup.sh --resnet18' brings it.");

        ImageNetwork.WriteClassifier(_folder.File("resnet18.onnx"));
        CommandRunner.RunIn(_folder.Path, environment, "extract", "--dataset-path", "clips", "--backbone", "resnet18").Error
            .ShouldContain("this is not the file of resnet18: its SHA-256 is ");
    }

    /// <summary>Whatever a byte of a file is turned into, what is thrown says so.</summary>
    [Fact]
    public void A_damaged_structure_is_an_error_of_the_file_and_nothing_else()
    {
        string path = _folder.File("net.onnx");
        ImageNetwork.WriteClassifier(path);
        byte[] whole = File.ReadAllBytes(path);
        for (int length = 0; length < whole.Length; length += 7)
        {
            File.WriteAllBytes(path, whole[..length]);
            Should.Throw<Exception>(() => OnnxModel.Open(path)).ShouldBeAssignableTo<FileFormatException>();
        }

        var random = new Random(1);
        for (int i = 0; i < 2000; i++)
        {
            byte[] damaged = [.. whole];
            damaged[random.Next(Math.Min(whole.Length, 700))] = (byte)random.Next(256);
            File.WriteAllBytes(path, damaged);
            try
            {
                OnnxModel model = OnnxModel.Open(path);
                if (model.PooledLayer is { } layer && model.Computes(layer))
                {
                    model.CutAt(layer);
                }
            }
            catch (FileFormatException)
            {
            }
        }
    }

    [Fact]
    public void Without_ONNX_Runtime_everything_else_works_and_the_error_says_what_is_missing()
    {
        ImageNetwork.WriteClassifier(_folder.File("net.onnx"));
        string program = Path.GetDirectoryName(CommandRunner.ProgramFile)!;
        ChildProcess.Run("cp", ["-r", program, _folder.File("program")], _folder.Path).ExitCode.ShouldBe(0);
        foreach (string library in Directory.GetFiles(_folder.File("program"), "*onnxruntime*", SearchOption.AllDirectories)
            .Where(file => !file.Contains("CudaTrainer")))
        {
            File.WriteAllText(library, "no library");
        }

        CommandOutcome motion = Run("--stream", "motion");
        motion.ExitCode.ShouldBe(0, motion.Error);
        CommandOutcome refused = Run("--backbone", "net.onnx");
        refused.ExitCode.ShouldBe(1);
        refused.Error.ShouldContain("ONNX Runtime");
        refused.Error.ShouldNotContain("internal error");

        CommandOutcome Run(params string[] options) => ChildProcess.Finish(CommandRunner.StartProgram(
            _folder.File("program/cudatrainer.dll"), _folder.Path, [],
            ["extract", "--dataset-path", "clips", "--frames", "2", "--cache-dir", "cache", .. options]));
    }

    public void Dispose() => _folder.Dispose();

    private void Write(string kind)
    {
        string path = _folder.File("net.onnx");
        var graph = new OnnxGraph("bad");
        switch (kind)
        {
            case "missing":
                return;
            case "text":
                File.WriteAllText(path, "<html>404 Not Found</html>\n");
                return;
            case "empty":
                File.WriteAllBytes(path, []);
                return;
            case "safetensors":
                SafetensorsWriter.Write(path, [NamedTensor.Of<float>("x", new float[1], [1])]);
                return;
            case "cut off":
                ImageNetwork.WriteClassifier(path);
                File.WriteAllBytes(path, File.ReadAllBytes(path)[..^100]);
                return;
            case "bad metadata":
                ImageNetwork.WriteClassifier(path, metadata: new() { ["cudatrainer_input"] = "nhwc sideways" });
                return;
            case "bad layer":
                ImageNetwork.WriteClassifier(path, metadata: new() { ["cudatrainer_layer"] = "nowhere" });
                return;
            case "gray":
                ImageNetwork.WriteMeans(path, ElementType.F32, true, "n", 1, 32, 48);
                return;
            case "huge batch":
                ImageNetwork.WriteMeans(path, ElementType.F32, true, 2_000_000_000, 3, 32, 48);
                return;
            case "external" or "outside":
                ImageNetwork.WriteClassifier(path);
                ImageNetwork.AppendExternalWeight(path, "extra", kind == "external" ? "weights.bin" : "../weights.bin");
                return;
            case "no input":
                graph.Output(graph.Add("Relu", "out", [graph.Constant<float>("x", new float[48], 1, 3, 4, 4)]), ElementType.F32);
                break;
            case "two inputs":
                graph.Output(graph.Add("Sub", "out", [Pixels("left"), Pixels("right")]), ElementType.F32);
                break;
            case "integers":
                graph.Output(graph.Add("Abs", "out", [graph.Input("pixels", ElementType.I64, "n", 3, 32, 48)]), ElementType.F32);
                break;
            case "flat":
                graph.Output(graph.Add("Softmax", "out", [graph.Input("pixels", ElementType.F32, "n", 4608)]), ElementType.F32);
                break;
            case "video of grays":
                graph.Output(graph.Add("MaxPool", "out", [graph.Input("pixels", ElementType.F32, "n", 1, 8, 32, 48)]), ElementType.F32);
                break;
            case "unknown operation":
                graph.Output(graph.Add("GlobalAveragePool", "out", [graph.Add("Nonsense", "odd", [Pixels()])]), ElementType.F32);
                break;
            case "wrong shapes":
                graph.Output(graph.Add("GlobalAveragePool", "out",
                    [graph.Add("Conv", "conv", [Pixels(), graph.Constant<float>("w", new float[5 * 9], 1, 5, 3, 3)])]), ElementType.F32);
                break;
            case "not finite":
                string root = graph.Add("Sqrt", "root", [graph.Add("Sub", "less",
                    [graph.Add("GlobalAveragePool", "pooled", [Pixels()]), graph.Constant<float>("one", [1e9f], 1)])]);
                graph.Output(graph.Add("Gemm", "out", [root, graph.Constant<float>("w", new float[6], 3, 2)]), ElementType.F32);
                break;
            case "ends elsewhere" or "too wide":
                string conv = graph.Add("Conv", "conv", [Pixels(), graph.Constant<float>("w", new float[200 * 3], 200, 3, 1, 1)]);
                string tail = kind == "too wide"
                    ? graph.Add("Gemm", "out", [conv, graph.Constant<float>("fc", new float[4], 2, 2)])
                    : graph.Add("Relu", "out", [conv]);
                graph.Output(tail, ElementType.F32);
                break;
            case "over the batch":
                graph.Output(graph.Add("ReduceMean", "out", [Pixels()], OnnxAttribute.Of("axes", [0]), OnnxAttribute.Of("keepdims", 0)),
                    ElementType.F32);
                break;
        }

        ImageNetwork.Write(path, graph);

        string Pixels(string name = "pixels") => graph.Input(name, ElementType.F32, "n", 3, 32, 48);
    }

    private CommandOutcome Extract(params string[] options) => CommandRunner.RunInside(
        ["extract", "--dataset-path", _folder.File("clips"), "--cache-dir", _folder.File("cache"), "--frames", "2",
            .. options.Select(option => option == "net.onnx" ? _folder.File(option) : option)]);
}
