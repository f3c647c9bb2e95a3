using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Extraction;

/// <summary>
/// What makes the features that the options ask for: where the backbone's weights come from and how frames are prepared for it, motion, or
/// both.
/// </summary>
public sealed class BackboneChoice : IDisposable
{
    private readonly OnnxBackbone? _onnx;

    private BackboneChoice(FeatureStream stream, IVgg19WeightSource? source, string preprocess, OnnxBackbone? onnx = null)
    {
        Stream = stream;
        Source = source;
        Preprocess = preprocess;
        _onnx = onnx;
    }

    public FeatureStream Stream { get; }

    /// <summary>Another network than VGG19; null for that and for motion alone.</summary>
    internal OnnxBackbone? Onnx => _onnx;

    /// <summary>Weights of VGG19; null for motion alone and for other backbones.</summary>
    public IVgg19WeightSource? Source { get; }

    /// <summary>What frames are to be and how many features they get; without meaning for motion alone.</summary>
    public BackboneShape Shape => _onnx?.Shape ?? BackboneShape.Vgg19;

    /// <summary><c>torch</c>, <c>caffe</c>, for other backbones than VGG19 the whole of it (docs/backbones.md) or, for motion alone,
    /// <c>luma</c>.</summary>
    public string Preprocess { get; }

    /// <summary>Decides whether features mean the same.</summary>
    public string Identity => IdentityOf(Stream);

    /// <summary>What to tell people.</summary>
    public string Description => Join(FramesDescription, Stream.HasMotion() ? MotionFeatures.Description : null);

    /// <summary>The same without motion; null for motion alone.</summary>
    internal string? FramesDescription => _onnx?.Description ?? Source?.Description;

    /// <summary>Sampled; a video network takes them together.</summary>
    private int FramesPerClip { get; init; }

    internal ImageNormalization Normalization => Preprocess == "caffe" ? ImageNormalization.Caffe : ImageNormalization.Torch;

    /// <exception cref="RunException">There is no such backbone, or an option does not fit it.</exception>
    /// <exception cref="FileFormatException">A file holds something else.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static BackboneChoice Open(FeatureOptions options)
    {
        if (!options.Stream.HasRgb())
        {
            return new BackboneChoice(options.Stream, null, "luma");
        }

        if (options.Backbone is not (null or VideoOptions.Vgg19Name))
        {
            OnnxBackbone onnx = OnnxBackbone.Open(options);
            return new BackboneChoice(options.Stream, null, onnx.Input.ToString(), onnx) { FramesPerClip = options.Frames };
        }

        IVgg19WeightSource source = options.Weights is { } file ? Vgg19Weights.Open(file) : new RandomVgg19();
        string preprocess = options.Preprocess switch
        {
            PreprocessChoice.Caffe => "caffe",
            PreprocessChoice.Torch => "torch",
            _ => (source as Vgg19Weights)?.Preprocess ?? "torch",
        };
        return new BackboneChoice(options.Stream, source, preprocess);
    }

    /// <summary>Where the features of a stream are cached: those of a cache folder's streams do not replace each other.</summary>
    public static string DirectoryOf(string cacheDirectory, FeatureStream stream) => stream switch
    {
        FeatureStream.Motion => Path.Combine(cacheDirectory, "motion"),
        FeatureStream.Both => Path.Combine(cacheDirectory, "both"),
        _ => cacheDirectory,
    };

    /// <summary>Everything besides a video's content that the features of one of the streams depend on.</summary>
    /// <param name="stream">One that this choice contains.</param>
    /// <param name="view">How clips are looked at.</param>
    public FeatureKey KeyOf(FeatureStream stream, FeatureOptions options, int view = 0)
    {
        var key = new FeatureKey
        {
            Frames = options.Frames,
            Dimension = stream.Dimension(Shape.Features),
            Resize = $"{Shape.Width}x{Shape.Height} bilinear",
            ElementType = options.FeatureDtype == FeatureType.Float16 ? ElementType.F16 : ElementType.F32,
            Preprocessing = stream.HasRgb() ? Preprocess : "luma",
            Backbone = IdentityOf(stream),
            View = view == 0 ? null : ClipView.All[view].Name,
        };
        return stream.HasMotion()
            ? key with
            {
                Sampling = stream.HasRgb() ? $"{key.Sampling} + {MotionFeatures.Sampling}" : MotionFeatures.Sampling,
                Resize = stream.HasRgb() ? $"{key.Resize} + {MotionFeatures.Resize}" : MotionFeatures.Resize,
            }
            : key;
    }

    /// <summary>The network for a device; loading VGG19's weights takes seconds. Null for motion alone.</summary>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public IFrameNetwork? Load(IDevice device, CancellationToken stop) =>
        _onnx is not null ? new OnnxFrameNetwork(_onnx, FramesPerClip, _onnx.SessionOn(device))
        : Source is not null ? new Vgg19(device, Source, Normalization, stop)
        : null;

    public void Dispose()
    {
        (Source as IDisposable)?.Dispose();
        _onnx?.Dispose();
    }

    private static string Join(params string?[] parts) => string.Join(" + ", parts.Where(part => part is not null));

    private string IdentityOf(FeatureStream stream) =>
        Join(stream.HasRgb() ? _onnx?.Identity ?? Source!.Identity : null, stream.HasMotion() ? MotionFeatures.Identity : null);
}
