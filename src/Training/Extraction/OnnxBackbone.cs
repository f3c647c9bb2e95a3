using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Extraction;

/// <summary>
/// An image or video network from an ONNX file, cut at the layer whose values are features. It computes on the processor, or where
/// <see cref="SessionOn"/> puts it.
/// </summary>
internal sealed partial class OnnxBackbone : IDisposable
{
    /// <summary>Key of the file's metadata under which it names the layer.</summary>
    private const string LayerKey = "cudatrainer_layer";

    /// <summary>Frames that go through together where the network leaves it open.</summary>
    private const int UsualBatch = 10;

    /// <summary>Bytes of a batch; far more than a network for pictures takes.</summary>
    private const long MostBatchBytes = 1 << 30;

    /// <summary>Far more numbers for a frame than a pooled layer has.</summary>
    private const int MostFeatures = 1 << 16;

    /// <summary>Of the features of a frame by itself and among others, relative to the largest.</summary>
    private const float Tolerance = 1e-4f;

    private readonly OnnxModel _model;
    private readonly IOnnxSession _session;
    private readonly string _inputName;

    /// <param name="batch">Frames, or clips, that the session takes at once.</param>
    private OnnxBackbone(OnnxModel model, string description, string layer, string inputName, FrameInput frame, int batch,
        IOnnxSession session)
    {
        (_model, Description, Layer, _inputName, Input, Batch, _session) = (model, description, layer, inputName, frame, batch, session);
        Shape = new BackboneShape(frame.Width, frame.Height, 0) { TakesClips = frame.Clip > 0 };
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

    /// <summary>Frames, or clips, that go through together: always as many, so that bits do not depend on what else is computed.</summary>
    public int Batch { get; }

    /// <summary>Of what <see cref="Run"/> takes.</summary>
    public int BatchBytes => Batch * Math.Max(1, Input.Clip) * Shape.FrameBytes * (Input.IsBytes ? 1 : sizeof(float));

    /// <summary>Loads the network once more, on the GPU of that number.</summary>
    private Func<int, IOnnxSession>? OnGpu { get; init; }

    /// <summary>Whether it also takes more or fewer frames, or clips, at once.</summary>
    public bool TakesAnyBatch { get; private init; }

    public string Description { get; }

    /// <summary>Content and layer of the file.</summary>
    public string Identity => $"onnx-sha256-{_model.Hash} {Layer}";

    /// <summary>The hash and the layer that an <see cref="Identity"/>, or one with motion behind it, names; null where another kind of
    /// backbone made the features.</summary>
    public static (string Hash, string Layer)? Parse(string identity) => IdentityPattern().Match(identity) is { Success: true } match
        ? (match.Groups["hash"].Value, match.Groups["layer"].Value)
        : null;

    /// <param name="options">With <see cref="VideoOptions.Backbone"/> set.</param>
    /// <exception cref="RunException">There is no such backbone, or an option does not fit it.</exception>
    /// <exception cref="FileFormatException">The file is no image network that can be run.</exception>
    public static OnnxBackbone Open(FeatureOptions options)
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

        OnnxModelInput input = OnnxPictures.InputOf(model);
        string layer = LayerOf(model, options.BackboneLayer);
        FrameInput frame = OnnxPictures.FramesFor(model, input, isNamed ? Resnet18.Input : string.Empty, options);
        string together = frame.Clip > 0 ? $", {frame.Clip} frames at a time" : string.Empty,
            description = $"{(isNamed ? "ResNet-18 of ImageNet" : $"'{path}'")} (ONNX, layer '{layer}'{together})";
        int batch = input.Shape?[0] is { Symbol: null, Length: var length } ? (int)Math.Min(length, int.MaxValue)
            : frame.Clip > 0 ? 1
            : UsualBatch;
        long frames = batch * (long)Math.Max(1, frame.Clip);
        if (frames * frame.Width * frame.Height * 3 * sizeof(float) > MostBatchBytes)
        {
            throw new FileFormatException(path,
                $"it takes {frames} frames of {frame.Width}x{frame.Height} pixels at once, which is too much", "Export it for fewer.");
        }

        OnnxBackbone exported = Load(batch, model.CutAt(layer));
        if (batch > 1 || frame.Clip > 0 || Widened() is not { } wide)
        {
            return exported;
        }

        exported.Dispose();
        return wide;

        OnnxBackbone Load(int frames, byte[] cut, bool any = false) => new(model, description, layer, input.Name, frame, frames,
            runner.Load(path, cut, options.Threads))
        {
            TakesAnyBatch = any || input.Shape?[0] is not { Symbol: null },
            OnGpu = gpu => runner.LoadOnGpu(path, cut, options.Threads, gpu),
        };

        // A network that was exported for one frame may as well take several, which is faster.
        OnnxBackbone? Widened()
        {
            try
            {
                OnnxBackbone several = Load(UsualBatch, model.CutAt(layer, input), any: true);
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

    /// <summary>A session of its own for a GPU; null for other devices, which share that of the processor.</summary>
    /// <exception cref="FileFormatException">ONNX Runtime refuses the network.</exception>
    public IOnnxSession? SessionOn(IDevice device) =>
        device is CudaDevice && int.TryParse(device.Name[(device.Name.IndexOf(':') + 1)..], out int gpu) ? OnGpu!(gpu) : null;

    /// <summary>The features of one batch. For several threads.</summary>
    /// <param name="session">That of <see cref="SessionOn"/>; null for the processor's.</param>
    /// <param name="numbers">[<see cref="Batch"/>, ...] as <see cref="FrameInput.Fill(ReadOnlySpan{byte}, Span{float}, int)"/> writes
    /// them.</param>
    /// <returns>[<see cref="Batch"/>, D].</returns>
    /// <exception cref="FileFormatException">The network fails, or gives something else than finite numbers for each frame.</exception>
    public float[] Run(byte[] numbers, IOnnxSession? session = null)
    {
        long[] picture = [.. Input.Clip > 0 ? [Input.Clip] : Array.Empty<long>(), Shape.Height, Shape.Width];
        long[] shape = Input.ChannelsFirst == false ? [Batch, .. picture, 3] : [Batch, 3, .. picture];
        OnnxInput input = new(_inputName, Input.IsBytes ? ElementType.U8 : ElementType.F32, shape, numbers);
        OnnxArray output = (session ?? _session).Run(input);
        if (output.Shape.Count == 0 || output.Shape[0] != Batch || output.Values.Length == 0)
        {
            string given = $"{Batch} {(Input.Clip > 0 ? "clips" : "frames")}";
            throw NotFeatures($"gives {ElementTypes.Format([.. output.Shape])} for {given}, not numbers for each");
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

    /// <summary>The network up to the layer, to go into another graph.</summary>
    /// <exception cref="FileFormatException">That cannot be done with this file; says why.</exception>
    public OnnxPart Part() => TakesAnyBatch
        ? _model.Part(_inputName, Layer)
        : throw new FileFormatException(Path, $"it cannot be joined with a classifier: it takes {Batch} " +
            $"{(Input.Clip > 0 ? "clips" : "frames")} at once, no more and no fewer", "Export it with the first length of its input open.");

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
}
