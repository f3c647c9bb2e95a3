using System.Globalization;
using System.Runtime.InteropServices;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Export;

public sealed record ExportOptions
{
    [Setting(SettingGroup.Model, "The trained model; of a {CheckpointDir} its best_model.safetensors; bundled is the one that " +
        "comes with the program",
        Placeholder = "DIR|FILE", Kind = "checkpoint folder, .safetensors file or checkpoint")]
    public string Model { get; init; } = string.Empty;

    [Setting(SettingGroup.Model, "Put the backbone with its preparation of frames before the classifier: VGG19, or a network from an " +
        "ONNX file")]
    public bool Whole { get; init; }

    [Setting(SettingGroup.Model, "The ONNX file the model was trained with, for {Whole}; resnet18 is found by itself",
        Placeholder = "FILE.onnx|NAME", Kind = "ONNX file, or vgg19 or resnet18")]
    public string? Backbone { get; init; }

    [Setting(SettingGroup.Model, "Its layer with the features, where the model does not say it", Kind = "value of the network")]
    public string? BackboneLayer { get; init; }

    [Setting(SettingGroup.Model, "How frames go into it, where the model does not say it (docs/backbones.md)",
        Placeholder = "TEXT", Kind = "text")]
    public string? BackboneInput { get; init; }

    [Setting(SettingGroup.Model, "VGG19 weights the model was trained with, for {Whole}; not needed after training with a random backbone",
        Placeholder = "FILE", Kind = ".safetensors, .pth or Keras .h5 file")]
    public string? Weights { get; init; }

    [Setting(SettingGroup.Output, "The file to write", Placeholder = "FILE", Kind = ".onnx file")]
    public string Onnx { get; init; } = string.Empty;

    [Setting(SettingGroup.Output, "Replace a file of that name")]
    public bool Overwrite { get; init; }

    /// <summary>Runs <see cref="Backbone"/>; needed for that alone.</summary>
    public IOnnxRunner? OnnxRunner { get; init; }

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [];
        (string Name, string? Value)[] ofBackbone =
        [
            (nameof(Weights), Weights), (nameof(Backbone), Backbone), (nameof(BackboneLayer), BackboneLayer),
            (nameof(BackboneInput), BackboneInput),
        ];
        problems.AddRange(ofBackbone.Where(setting => setting.Value is not null && !Whole).Select(setting => new OptionProblem(setting.Name,
            $"needs {SettingName.Of(nameof(Whole))}; a classifier alone has no backbone")));
        if (Whole)
        {
            OptionValidation.CheckBackbone(ExportRun.FramesOf(this), problems);
        }

        return problems;
    }
}

/// <summary>An input or output of the exported graph.</summary>
/// <param name="Type">For example <c>F32</c>.</param>
/// <param name="Shape">Lengths, or the name of one that each run may choose.</param>
public sealed record ExportedValue(string Name, string Type, IReadOnlyList<string> Shape)
{
    internal static ExportedValue Of(OnnxValue value) =>
        new(value.Name, value.Type.ToString(), [.. value.Shape.Select(length => length.ToString())]);
}

/// <summary>How the file was checked.</summary>
/// <param name="Runtime">Version of the ONNX Runtime that ran it; null where none did.</param>
/// <param name="NotRun">Why none did; the file was then read back and compared. Null where one did.</param>
/// <param name="Clips">Random clips that it was run on.</param>
/// <param name="Differences">Of each output, the largest absolute difference from this engine.</param>
public sealed record ExportCheck(string? Runtime, string? NotRun, int Clips, IReadOnlyDictionary<string, double> Differences);

/// <summary>A file that was written.</summary>
/// <param name="Model">The classifier's name.</param>
/// <param name="Backbone">What made, or makes, its features.</param>
/// <param name="Operations">Nodes of the graph.</param>
/// <param name="Weights">Tensors of the graph.</param>
public sealed record ExportResult(
    string Path, long Bytes, string Model, string Backbone, bool Whole, int Opset, int Operations, int Weights,
    IReadOnlyList<ExportedValue> Inputs, IReadOnlyList<ExportedValue> Outputs,
    IReadOnlyDictionary<string, string> Metadata, ExportCheck Check);

/// <summary>
/// Writes a trained classifier, alone or with the backbone before it, as an ONNX file. The file gets its name when it has passed the check.
/// </summary>
public sealed class ExportRun
{
    /// <summary>Largest difference of a probability, or of a frame's attention, that the check lets pass.</summary>
    public const double Tolerance = 1e-4;

    /// <summary>What makes the features of frames.</summary>
    internal static VideoOptions FramesOf(ExportOptions options) => new()
    {
        Weights = options.Weights,
        Backbone = options.Backbone,
        BackboneLayer = options.BackboneLayer,
        BackboneInput = options.BackboneInput,
        OnnxRunner = options.OnnxRunner,
    };

    /// <summary>Follows the name of a file that has not passed the check.</summary>
    public const string UncheckedSuffix = ".unchecked";

    private const string Batch = "batch";
    private const int Seed = 1;

    private readonly ExportOptions _options;
    private readonly IOnnxRunner? _runner;
    private readonly IRunObserver _observer;
    private readonly CancellationToken _stop;
    private readonly IDevice _device;
    private readonly TrainedClassifier _classifier;
    private readonly BackboneChoice? _backbone;

    private ExportRun(
        ExportOptions options, IOnnxRunner? runner, IRunObserver observer, CancellationToken stop, IDevice device,
        TrainedClassifier classifier, BackboneChoice? backbone)
    {
        (_options, _runner, _observer, _stop) = (options, runner, observer, stop);
        (_device, _classifier, _backbone) = (device, classifier, backbone);
    }

    private ModelInfo Info => _classifier.Info;

    /// <param name="options">What to export.</param>
    /// <param name="runner">Runs the file, to compare its answers with ours; null: the file is only read back.</param>
    /// <param name="observer">Is told what happens.</param>
    /// <param name="stop">Ends it.</param>
    /// <exception cref="RunException">Something the user can act on is wrong; after a failed check, the file stays as
    /// FILE.unchecked.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Stopped; nothing is left.</exception>
    public static ExportResult Execute(ExportOptions options, IOnnxRunner? runner, IRunObserver observer, CancellationToken stop)
    {
        OutputFile.Require(options.Onnx, OutputKind.Model, options.Overwrite, nameof(ExportOptions.Onnx));
        using DeviceChoice device = DeviceChoice.OpenOne("cpu", threads: 0);
        using TrainedClassifier classifier = TrainedClassifier.Load(device.Device, ModelFile(options.Model));
        if (options.Whole && classifier.Info.Stream.HasMotion())
        {
            observer.Message(Severity.Warning,
                $"motion is measured, not computed by a network, and has no form in ONNX: the file takes features " +
                $"[batch, {classifier.Info.Frames}, {classifier.Info.Inputs}], which 'cudatrainer extract' writes and docs/motion.md " +
                "defines");
            options = options with { Whole = false };
        }

        using BackboneChoice? backbone = options.Whole ? OpenBackbone(classifier, options) : null;
        return new ExportRun(options, runner, observer, stop, device.Device, classifier, backbone).Run();
    }

    private static string ModelFile(string path)
    {
        if (!Directory.Exists(path))
        {
            return BundledModel.Resolve(path);
        }

        string best = Path.Combine(path, "best_model.safetensors");
        return File.Exists(best)
            ? best
            : throw new RunException($"'{path}' is a folder without best_model.safetensors.",
            $"Name the {SettingName.Of(nameof(TrainingOptions.CheckpointDir))} of a run, or a model file.");
    }

    private static BackboneChoice OpenBackbone(TrainedClassifier classifier, ExportOptions options)
    {
        if (OnnxBackbone.Parse(classifier.Info.Backbone) is not null || options.Backbone is not (null or VideoOptions.Vgg19Name))
        {
            return classifier.OpenBackbone(FramesOf(options));
        }

        return classifier.Info.Inputs == Vgg19.Features
            ? classifier.OpenBackbone(FramesOf(options))
            : throw new RunException(
                $"The classifier takes {classifier.Info.Inputs} features a frame, and VGG19 gives {Vgg19.Features}.",
                $"Export it without {SettingName.Of(nameof(ExportOptions.Whole))}.");
    }

    private ExportResult Run()
    {
        _observer.Header(
        [
            new HeaderLine("model", $"{Info.Model} of epoch {Info.Epoch} from {_options.Model}"),
            new HeaderLine("backbone", _backbone?.Description ?? $"left out; the features are those of: {Info.BackboneDescription}"),
        ]);
        OnnxGraph graph = Graph();
        Dictionary<string, string> metadata = Metadata();
        string pending = _options.Onnx + UncheckedSuffix;
        AtomicFile.Write(pending, stream => OnnxWriter.Write(stream, graph, ThisAssembly.Version, metadata, _stop));
        long bytes = new FileInfo(pending).Length;
        ExportCheck check;
        try
        {
            check = Check(pending, graph);
            _stop.ThrowIfCancellationRequested();
            File.Move(pending, _options.Onnx, _options.Overwrite);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or UnauthorizedAccessException)
        {
            File.Delete(pending);
            throw;
        }

        return new ExportResult(
            _options.Onnx, bytes, Info.Model, _backbone?.Description
                ?? Info.BackboneDescription, _options.Whole, (int)graph.OpsetVersion, graph.Nodes.Count,
            graph.Initializers.Count + (graph.Part?.Weights.Count ?? 0),
            [.. graph.Inputs.Select(ExportedValue.Of)], [.. graph.Outputs.Select(ExportedValue.Of)], metadata, check);
    }

    private OnnxGraph Graph()
    {
        var graph = new OnnxGraph(Info.Model);
        string features;
        if (_backbone is null)
        {
            features = graph.Input("features", ElementType.F32, Batch, Info.Frames, Info.Inputs);
        }
        else if (_backbone.Onnx is { } onnx)
        {
            graph.Use(onnx.Part());
            string frames = graph.Input("frames", ElementType.U8, Batch, Info.Frames, _backbone.Shape.Height, _backbone.Shape.Width, 3);
            features = OnnxWhole.Export(graph, frames, onnx, Info.Frames, Info.Inputs);
        }
        else
        {
            string frames = graph.Input("frames", ElementType.U8, Batch, Info.Frames, Vgg19.ImageSize, Vgg19.ImageSize, 3);
            string single = graph.Add("Reshape", "frames/single",
                [frames, graph.Constant<long>("frames/shape", [-1, Vgg19.ImageSize, Vgg19.ImageSize, 3], 4)]);
            string rows = Vgg19Onnx.Export(graph, single, _backbone.Source!, _backbone.Normalization);
            features = graph.Add("Reshape", "features", [rows, graph.Constant<long>("features/shape", [-1, Info.Frames, Info.Inputs], 3)]);
        }

        _classifier.Learner.Model.Export(graph, features, Info.Frames, Batch);
        return graph;
    }

    private Dictionary<string, string> Metadata()
    {
        (string Key, string Value)[] threshold = Info.ClassList.IsViolence
            ? [("threshold", Info.Threshold.ToString("R", CultureInfo.InvariantCulture))]
            : [];
        (string Key, string Value)[] all =
        [
            ("cudatrainer_version", ThisAssembly.Version),
            ("model", Info.Model),
            ("epoch", Info.Epoch.ToString(CultureInfo.InvariantCulture)),
            ("classes", string.Join(',', Info.Classes)),
            .. threshold,
            ("frames", Info.Frames.ToString(CultureInfo.InvariantCulture)),
            ("features", Info.Inputs.ToString(CultureInfo.InvariantCulture)),
            ("preprocessing", _backbone?.Preprocess ?? Info.Preprocess),
            ("backbone", _backbone?.Identity ?? Info.Backbone),
        ];
        return all.ToDictionary(pair => pair.Key, pair => pair.Value);
    }

    private ExportCheck Check(string path, OnnxGraph graph)
    {
        int clips = _backbone is null ? 3 : 2;
        OnnxInput input;
        OnnxAnswer answer;
        try
        {
            if (_runner is null)
            {
                OnnxReadBack.Verify(path, graph, _stop);
                return new ExportCheck(null, "not asked for", 0, new Dictionary<string, double>());
            }

            _observer.Message(Severity.Info, $"checking with {clips} random clips");
            input = RandomInput(graph.Inputs[0], clips);
            answer = _runner.Run(path, input, _stop);
        }
        catch (FileFormatException exception)
        {
            throw Failed(exception.Message, exception);
        }

        return Compare(answer, Answer(input, clips), clips);
    }

    private ExportCheck Compare(OnnxAnswer answer, Dictionary<string, double[]> own, int clips)
    {
        Dictionary<string, double> differences = [];
        foreach ((string name, double[] expected) in own)
        {
            double[] actual = answer.Outputs.GetValueOrDefault(name) ?? [];
            if (actual.Length != expected.Length)
            {
                throw Failed($"ONNX Runtime {answer.Version} gives {actual.Length} numbers of '{name}' instead of {expected.Length}.");
            }

            differences[name] = actual.Zip(expected, (a, b) => double.IsFinite(a) ? Math.Abs(a - b) : double.PositiveInfinity).Max();
        }

        (string worst, double largest) = differences.MaxBy(pair => pair.Value);
        return largest <= Tolerance
            ? new ExportCheck(answer.Version, null, clips, differences)
            : throw Failed(string.Create(CultureInfo.InvariantCulture,
                $"ONNX Runtime {answer.Version} does not answer as this engine does: {worst} differs by up to {largest:G2}, the limit " +
                    $"is {Tolerance:G2}."));
    }

    private RunException Failed(string message, Exception? inner = null) =>
        new(message, $"The file is kept as '{_options.Onnx}{UncheckedSuffix}'.", inner);

    /// <summary>What this engine makes of the same input.</summary>
    private Dictionary<string, double[]> Answer(OnnxInput input, int clips)
    {
        float[] features = _backbone is null
            ? MemoryMarshal.Cast<byte, float>(input.Data.Span).ToArray()
            : Features(input.Data.Span, clips);
        using var batch = new HostBatch(_device, clips, (long)Info.Frames * Info.Inputs * sizeof(float)) { Count = clips };
        features.CopyTo(batch.Features.AsSpan<float>(0, features.Length));
        Learner learner = _classifier.Learner;
        ClassList classes = Info.ClassList;
        float[] losses = new float[clips], scores = new float[clips * classes.Scores], attention = learner.Model.HasAttention
            ? new float[clips * Info.Frames]
            : [];
        learner.Evaluate(batch, losses, scores, attention);
        Dictionary<string, double[]> outputs = new()
        {
            ["probabilities"] = [.. scores.SelectMany(p => classes.IsViolence ? new[] { 1 - (double)p, p } : [p])],
        };
        if (attention.Length > 0)
        {
            outputs["attention"] = [.. attention.Select(weight => (double)weight)];
        }

        return outputs;
    }

    private float[] Features(ReadOnlySpan<byte> frames, int clips)
    {
        _stop.ThrowIfCancellationRequested();
        using IFrameNetwork network = _backbone!.Load(_device, _stop)!;
        _stop.ThrowIfCancellationRequested();
        using Tensor rgb = Tensor.Allocate(_device, [clips * Info.Frames, _backbone.Shape.Height, _backbone.Shape.Width, 3], DType.UInt8);
        using Tensor features = Tensor.Allocate(_device, [clips * Info.Frames, _backbone.Shape.Features]);
        _device.Upload(frames, rgb.Data);
        network.Forward(rgb, features);
        return features.Read<float>();
    }

    /// <summary>Features as after a ReLU, or frames of a chequered pattern: frames of noise all look alike to the backbone.</summary>
    private OnnxInput RandomInput(OnnxValue value, int clips)
    {
        if (_backbone is null)
        {
            float[] features = new float[clips * Info.Frames * Info.Inputs];
            for (int i = 0; i < features.Length; i++)
            {
                features[i] = (float)Math.Max(0, Initializers.Normal(Seed, (ulong)i));
            }

            return new OnnxInput(value.Name, value.Type, [clips, Info.Frames, Info.Inputs],
                MemoryMarshal.AsBytes<float>(features).ToArray());
        }

        (int width, int height) = (_backbone.Shape.Width, _backbone.Shape.Height);
        byte[] frames = new byte[clips * Info.Frames * height * width * 3];
        for (int i = 0; i < frames.Length; i++)
        {
            int channel = i % 3, column = i / 3 % width, row = i / 3 / width % height, frame = i / 3 / width / height;
            long tile = (((((frame * 8L) + (8 * row / height)) * 8) + (8 * column / width)) * 3) + channel;
            frames[i] = (byte)(256 * Philox.Uniform(Seed, 0, tile));
        }

        return new OnnxInput(value.Name, value.Type, [clips, Info.Frames, height, width, 3], frames);
    }
}
