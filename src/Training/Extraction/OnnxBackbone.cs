using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Extraction;

/// <summary>
/// An image network from an ONNX file, cut at the layer whose values are features. It computes on the processor, whatever the device.
/// </summary>
internal sealed partial class OnnxBackbone : IDisposable
{
    /// <summary>Keys of the file's metadata: a text as <see cref="FrameInput"/> reads it, and the name of a value.</summary>
    internal const string InputKey = "cudatrainer_input", LayerKey = "cudatrainer_layer";

    /// <summary>Frames that go through together where the network leaves it open.</summary>
    private const int UsualBatch = 10;

    /// <summary>Bytes of a batch; far more than a network for pictures takes.</summary>
    private const long MostBatchBytes = 1 << 30;

    /// <summary>Far more numbers for a frame than a pooled layer has.</summary>
    private const int MostFeatures = 1 << 16;

    private const int UsualSize = 224;

    /// <summary>Of the features of a frame by itself and among others, relative to the largest.</summary>
    private const float Tolerance = 1e-4f;

    private readonly OnnxModel _model;
    private readonly IOnnxSession _session;
    private readonly string _inputName;

    /// <param name="batch">Frames that the session takes at once.</param>
    private OnnxBackbone(OnnxModel model, string description, string layer, string inputName, FrameInput frame, int batch,
        IOnnxSession session)
    {
        (_model, Description, Layer, _inputName, Input, Batch, _session) = (model, description, layer, inputName, frame, batch, session);
        Shape = new BackboneShape(frame.Width, frame.Height, 0);
        try
        {
            // What a layer gives is known for sure only when it has been asked.
            Shape = Shape with { Features = Run(new byte[BatchBytes]).Length / Batch };
        }
        catch
        {
            _session.Dispose();
            throw;
        }
    }

    /// <summary>The file.</summary>
    public string Path => _model.Path;

    public string Layer { get; }

    public FrameInput Input { get; }

    public BackboneShape Shape { get; }

    /// <summary>Frames that go through together: always as many, so that bits do not depend on what else is computed.</summary>
    public int Batch { get; }

    /// <summary>Of what <see cref="Run"/> takes.</summary>
    public int BatchBytes => Batch * Shape.FrameBytes * (Input.IsBytes ? 1 : sizeof(float));

    public string Description { get; }

    /// <summary>Content and layer of the file.</summary>
    public string Identity => $"onnx-sha256-{_model.Hash} {Layer}";

    /// <summary>The hash and the layer that an <see cref="Identity"/>, or one with motion behind it, names; null where another kind of
    /// backbone made the features.</summary>
    public static (string Hash, string Layer)? Parse(string identity) => IdentityPattern().Match(identity) is { Success: true } match
        ? (match.Groups["hash"].Value, match.Groups["layer"].Value)
        : null;

    /// <param name="options">With <see cref="VideoOptions.Backbone"/> set.</param>
    /// <param name="preprocess">How frames are prepared where neither the file nor the options say it.</param>
    /// <exception cref="RunException">There is no such backbone, or an option does not fit it.</exception>
    /// <exception cref="FileFormatException">The file is no image network that can be run.</exception>
    public static OnnxBackbone Open(VideoOptions options, PreprocessChoice preprocess)
    {
        bool isNamed = options.Backbone == Resnet18.Name;
        string path = isNamed ? Resnet18.Path : options.Backbone!;
        if (isNamed && !File.Exists(path))
        {
            throw new RunException($"The backbone {Resnet18.Name} is not here: there is no '{path}'.", $"'{Resnet18.Setup}' brings it.");
        }

        IOnnxRunner runner = options.OnnxRunner ?? throw new RunException($"'{path}' cannot be run: there is no ONNX Runtime here.",
            $"A program that uses this library sets {nameof(VideoOptions)}.{nameof(VideoOptions.OnnxRunner)}.");
        OnnxModel model = OnnxModel.Open(path);
        if (isNamed && model.Hash != Resnet18.Sha256)
        {
            throw new FileFormatException(path, $"this is not the file of {Resnet18.Name}: its SHA-256 is {model.Hash}",
                $"Delete it; '{Resnet18.Setup}' brings the right one.");
        }

        OnnxModelInput input = ImageInput(model);
        string layer = LayerOf(model, options.BackboneLayer);
        FrameInput frame = Fit(model, input, FrameOf(model, isNamed ? Resnet18.Input : string.Empty, options, preprocess));
        string description = $"{(isNamed ? "ResNet-18 of ImageNet" : $"'{path}'")} (ONNX, layer '{layer}')";
        int batch = input.Shape?[0] is { Symbol: null, Length: var length } ? (int)Math.Min(length, int.MaxValue) : UsualBatch;
        if (batch * (long)frame.Width * frame.Height * 3 * sizeof(float) > MostBatchBytes)
        {
            throw new FileFormatException(path,
                $"it takes {batch} frames of {frame.Width}x{frame.Height} pixels at once, which is too much", "Export it for fewer.");
        }

        OnnxBackbone exported = Load(batch, model.CutAt(layer));
        if (batch > 1 || Widened() is not { } wide)
        {
            return exported;
        }

        exported.Dispose();
        return wide;

        OnnxBackbone Load(int frames, byte[] cut) => new(model, description, layer, input.Name, frame, frames,
            runner.Load(path, cut, options.Threads));

        // A network that was exported for one frame may as well take several, which is faster.
        OnnxBackbone? Widened()
        {
            try
            {
                OnnxBackbone several = Load(UsualBatch, model.CutAt(layer, input));
                if (several.Agrees(exported))
                {
                    return several;
                }

                several.Dispose();
            }
            catch (FileFormatException)
            {
                // It works for one only.
            }

            return null;
        }
    }

    /// <summary>The features of one batch. For several threads.</summary>
    /// <param name="numbers">[<see cref="Batch"/>, ...] as <see cref="FrameInput.Fill(ReadOnlySpan{byte}, Span{float})"/> writes
    /// them.</param>
    /// <returns>[<see cref="Batch"/>, D].</returns>
    /// <exception cref="FileFormatException">The network fails, or gives something else than finite numbers for each frame.</exception>
    public float[] Run(byte[] numbers)
    {
        long[] shape = Input.ChannelsFirst == false ? [Batch, Shape.Height, Shape.Width, 3] : [Batch, 3, Shape.Height, Shape.Width];
        OnnxArray output = _session.Run(new OnnxInput(_inputName, Input.IsBytes ? ElementType.U8 : ElementType.F32, shape, numbers));
        if (output.Shape.Count == 0 || output.Shape[0] != Batch || output.Values.Length == 0)
        {
            throw NotFeatures($"gives {ElementTypes.Format([.. output.Shape])} for {Batch} frames, not numbers for each");
        }

        int features = output.Values.Length / Batch;
        if (features > MostFeatures || (Shape.Features > 0 && features != Shape.Features))
        {
            string limit = Shape.Features > 0 ? $"it gave {Shape.Features:N0} before" : $"at most {MostFeatures:N0} can be features";
            throw NotFeatures($"gives {features:N0} numbers for a frame; {limit}");
        }

        int bad = output.Values.AsSpan().IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
        return bad < 0
            ? output.Values
            : throw new FileFormatException(Path, $"layer '{Layer}' gives {output.Values[bad]} for a frame",
                $"The file is damaged, or {SettingName.Of(nameof(VideoOptions.BackboneInput))} is not what it was trained with.");

        FileFormatException NotFeatures(string what) =>
            new(Path, $"layer '{Layer}' {what}", $"Name a pooled layer with {SettingName.Of(nameof(VideoOptions.BackboneLayer))}.");
    }

    public void Dispose() => _session.Dispose();

    /// <summary>Whether the first and the last frame of a batch have the features that they have in the other, which takes one.</summary>
    private bool Agrees(OnnxBackbone single)
    {
        byte[] numbers = new byte[BatchBytes];
        Span<float> floats = MemoryMarshal.Cast<byte, float>(numbers.AsSpan());
        for (int i = 0; i < floats.Length && !Input.IsBytes; i++)
        {
            floats[i] = MathF.Sin(i * 0.37f) + MathF.Sin(i * 1e-4f);
        }

        for (int i = 0; i < numbers.Length && Input.IsBytes; i++)
        {
            numbers[i] = (byte)(i * 37);
        }

        float[] together = Run(numbers);
        int bytes = single.BatchBytes, width = single.Shape.Features;
        return Shape.Features == width && new[] { 0, Batch - 1 }.All(frame =>
        {
            float[] alone = single.Run(numbers.AsSpan(frame * bytes, bytes).ToArray());
            float[] among = together[(frame * width)..((frame + 1) * width)];
            return alone.Zip(among, (one, other) => Math.Abs(one - other)).Max() <= Tolerance * alone.Max(Math.Abs);
        });
    }

    [GeneratedRegex(@"^onnx-sha256-(?<hash>[0-9a-f]{64}) (?<layer>.+?)( \+ motion-flow \d+)?$", RegexOptions.CultureInvariant)]
    private static partial Regex IdentityPattern();

    private static string LayerOf(OnnxModel model, string? asked)
    {
        string name = SettingName.Of(nameof(VideoOptions.BackboneLayer));
        string layer = asked ?? model.Metadata.GetValueOrDefault(LayerKey) ?? model.PooledLayer ?? throw new FileFormatException(model.Path,
            "it does not end in a classifier, or in pooling, so that which layer has the features is open",
            $"Name it with {name}; the last ones are {Last()}.");
        return model.Computes(layer)
            ? layer
            : throw new FileFormatException(model.Path, $"it computes no value '{layer}'",
                $"Name another with {name}; the last ones are {Last()}.");

        string Last() => string.Join(", ", model.ComputedValues.Where(value => value.Length > 0).Take(5).Select(value => $"'{value}'"));
    }

    private static OnnxModelInput ImageInput(OnnxModel model)
    {
        if (model.Inputs.Count != 1)
        {
            string names = string.Join(", ", model.Inputs.Select(input => $"'{input.Name}'"));
            throw new FileFormatException(model.Path, $"it has {model.Inputs.Count} inputs ({names}); an image network has one",
                "Export it with the pictures as its only input.");
        }

        OnnxModelInput only = model.Inputs[0];
        return only.Type is ElementType.F32 or ElementType.U8 && only.Shape is null or { Count: 4 }
            ? only
            : throw new FileFormatException(model.Path,
                $"its input '{only.Name}' is {only.Type?.ToString() ?? "of another type"} [{string.Join(", ", only.Shape ?? [])}]; " +
                    "that of an image network is F32 or U8 [n, 3, height, width] or [n, height, width, 3]",
                "Export it for single pictures.");
    }

    /// <summary>What is known of a file's frames: by default, by the file, and by the options, which win.</summary>
    private static FrameInput FrameOf(OnnxModel model, string known, VideoOptions options, PreprocessChoice preprocess)
    {
        FrameInput frame = FrameInput.Default.With(known);
        try
        {
            frame = frame.With(Denoted(model)).With(model.Metadata.GetValueOrDefault(InputKey, string.Empty));
        }
        catch (FormatException exception)
        {
            throw new FileFormatException(model.Path, $"its metadata '{InputKey}': {exception.Message}",
                "Correct it there.", exception);
        }

        try
        {
            return frame.With(preprocess switch { PreprocessChoice.Torch => "torch", PreprocessChoice.Caffe => "caffe", _ => string.Empty })
                .With(options.BackboneInput ?? string.Empty);
        }
        catch (FormatException exception)
        {
            throw new RunException($"{SettingName.Of(nameof(VideoOptions.BackboneInput))}: {exception.Message}", innerException: exception);
        }
    }

    /// <summary>What ONNX's own metadata for pictures say (onnx/docs/MetadataProps.md).</summary>
    private static string Denoted(OnnxModel model)
    {
        string order = model.Metadata.GetValueOrDefault("Image.BitmapPixelFormat") switch { "Bgr8" => "bgr ", "Rgb8" => "rgb ", _ => "" };
        return order + model.Metadata.GetValueOrDefault("Image.NominalPixelRange") switch
        {
            "NominalRange_0_255" => "scale=1 mean=0 deviation=1",
            "Normalized_0_1" => "scale=255 mean=0 deviation=1",
            "Normalized_1_1" => "scale=127.5 mean=1 deviation=1",
            _ => string.Empty,
        };
    }

    /// <summary>With the size, the layout and the type of the network's input.</summary>
    private static FrameInput Fit(OnnxModel model, OnnxModelInput input, FrameInput frame)
    {
        OnnxDimension open = "?";
        IReadOnlyList<OnnxDimension> shape = input.Shape ?? [open, open, open, open];
        bool first = frame.ChannelsFirst ?? (shape[1] == 3 || shape[3] != 3);
        (OnnxDimension channels, OnnxDimension height, OnnxDimension width) = first
            ? (shape[1], shape[2], shape[3])
            : (shape[3], shape[1], shape[2]);
        string name = SettingName.Of(nameof(VideoOptions.BackboneInput)),
            takes = $"its input '{input.Name}' is [{string.Join(", ", shape)}]";
        if (channels.Symbol is null && channels.Length != 3)
        {
            throw new FileFormatException(model.Path,
                $"{takes}: as {(first ? "nchw" : "nhwc")} it has {channels.Length} channels, frames have 3",
                $"Say with {name} nchw or nhwc which of them is the channels, or use a network for colours.");
        }

        (int wide, int high) = (Length(width, frame.Width), Length(height, frame.Height));
        if ((frame.Width > 0 && frame.Width != wide) || (frame.Height > 0 && frame.Height != high))
        {
            throw new FileFormatException(model.Path, $"{takes}, which does not fit frames of {frame.Width}x{frame.Height} pixels",
                $"Leave the size out of {name}: the file says it.");
        }

        if (frame.IsBytes && input.Type != ElementType.U8)
        {
            throw new FileFormatException(model.Path, $"its input '{input.Name}' takes floats, not bytes", $"Leave uint8 out of {name}.");
        }

        return frame with { ChannelsFirst = first, Width = wide, Height = high, IsBytes = input.Type == ElementType.U8 };

        static int Length(OnnxDimension given, int asked) =>
            given.Symbol is null ? (int)Math.Min(given.Length, int.MaxValue) : asked > 0 ? asked : UsualSize;
    }
}
