using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Video;
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
    private BackboneChoice(FeatureStream stream, IVgg19WeightSource? source, string preprocess)
    {
        Stream = stream;
        Source = source;
        Preprocess = preprocess;
    }

    public FeatureStream Stream { get; }

    /// <summary>Null for motion alone.</summary>
    public IVgg19WeightSource? Source { get; }

    /// <summary><c>torch</c>, <c>caffe</c> or, for motion alone, <c>luma</c>.</summary>
    public string Preprocess { get; }

    /// <summary>Decides whether features mean the same.</summary>
    public string Identity => IdentityOf(Stream);

    /// <summary>What to tell people.</summary>
    public string Description => Join(Source?.Description, Stream.HasMotion() ? MotionFeatures.Description : null);

    internal ImageNormalization Normalization => Preprocess == "caffe" ? ImageNormalization.Caffe : ImageNormalization.Torch;

    public static BackboneChoice Open(FeatureOptions options)
    {
        if (!options.Stream.HasRgb())
        {
            return new BackboneChoice(options.Stream, null, "luma");
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
            Dimension = stream.Dimension(),
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

    /// <summary>Loads the weights onto a device; takes seconds. Null for motion alone.</summary>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public Vgg19? Load(IDevice device, CancellationToken stop) =>
        Source is null ? null : new Vgg19(device, Source, Normalization, stop);

    public void Dispose() => (Source as IDisposable)?.Dispose();

    private static string Join(params string?[] parts) => string.Join(" + ", parts.Where(part => part is not null));

    private string IdentityOf(FeatureStream stream) =>
        Join(stream.HasRgb() ? Source!.Identity : null, stream.HasMotion() ? MotionFeatures.Identity : null);
}
