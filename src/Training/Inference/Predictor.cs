using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Inference;

/// <summary>A long video's answer and what it was made of.</summary>
/// <param name="Samples">Which frames stand for each window, in the order of <see cref="Prediction.Windows"/>.</param>
/// <param name="Video">What decoding showed; filled as far as reading got.</param>
public sealed record WindowedPrediction(Prediction Prediction, IReadOnlyList<WindowSample> Samples, VideoInfo Video);

/// <summary>A trained classifier or ensemble and its backbone on a device, loaded once for any number of videos. For one thread.</summary>
public sealed class Predictor : IDisposable
{
    private readonly PredictionOptions _options;
    private readonly DeviceChoice _device;
    private readonly ClassifierGroup _classifier;
    private readonly BackboneChoice _backbone;
    private readonly IFrameNetwork? _network;
    private readonly HostBatch _batch;
    private WindowScorer? _scorer;

    private Predictor(PredictionOptions options, DeviceChoice device, ClassifierGroup classifier, DecisionRule rule,
        BackboneChoice backbone, CancellationToken stop)
    {
        (_options, _device, _classifier, _backbone, Rule) = (options, device, classifier, backbone, rule);
        Release = options.Windows.Release ?? Threshold;
        if (Release > Threshold)
        {
            throw new RunException($"{SettingName.Of(nameof(WindowOptions.Release))} {options.Windows.Release} is above the threshold " +
                $"{Threshold:F3} of the model.",
                $"Give a smaller {SettingName.Of(nameof(WindowOptions.Release))}, or " +
                    $"{SettingName.Of(nameof(WindowOptions.Threshold))} as well.");
        }

        _network = backbone.Load(device.Device, stop);
        _batch = new HostBatch(device.Device, 1, (long)Info.Frames * Info.Inputs * sizeof(float)) { Count = 1 };
    }

    public ModelInfo Info => _classifier.Info;

    /// <summary>p(violent) from which a video is called violent; NaN for classes other than the known pair.</summary>
    public double Threshold => Rule.Threshold;

    /// <summary>The least probabilities by class of those that have one; null for the known pair, and where no class has one.</summary>
    public IReadOnlyDictionary<string, double>? Thresholds => Rule.Named(Info.ClassList);

    /// <summary>Probability below which an event ends; NaN for classes other than the known pair where nobody asked for it.</summary>
    public double Release { get; }

    /// <summary>By what a clip, a video or a window of one is called.</summary>
    internal DecisionRule Rule { get; }

    public bool HasAttention => _classifier.HasAttention;

    /// <summary>The device, without why it was chosen.</summary>
    public string Device => _device.Description;

    public string Backbone => _backbone.Description;

    /// <summary>Answers for windows; of this predictor, and for its thread.</summary>
    internal WindowScorer Scorer => _scorer ??= new WindowScorer(_device.Device, _network is null ? null : _network.Forward, Answer,
        Info.Frames, TimeSpan.FromSeconds(_options.DecodeTimeout), Info.Stream, _backbone.Shape);

    /// <summary>What opens the output of a run.</summary>
    public IReadOnlyList<HeaderLine> Header =>
    [
        new HeaderLine("device", _device.Text),
        new HeaderLine("model", $"{_classifier.Text} from {_options.Checkpoint}"),
        .. Info.Card is { } card ? new[] { new HeaderLine("card", card) } : [],
        new HeaderLine("backbone", _network is OnnxFrameNetwork { Place: { } place } ? $"{Backbone}; {place}" : Backbone),
    ];

    /// <exception cref="RunException">There is no such device or model, or the weights are of another backbone.</exception>
    /// <exception cref="OperationCanceledException">Stopped while the backbone was loaded.</exception>
    public static Predictor Open(PredictionOptions options, CancellationToken stop = default) => Open(options, countsAlarms: false, stop);

    /// <param name="countsAlarms">Whether every event is to be a false alarm of violence.</param>
    internal static Predictor Open(PredictionOptions options, bool countsAlarms, CancellationToken stop)
    {
        DeviceChoice? device = null;
        ClassifierGroup? classifier = null;
        BackboneChoice? backbone = null;
        try
        {
            device = DeviceChoice.OpenOne(options.Device, options.Threads);
            classifier = ClassifierGroup.Open(device.Device, options.Checkpoint);
            if (countsAlarms)
            {
                classifier.RequireAlarms();
            }

            DecisionRule rule = classifier.RuleOf(options.Windows);
            if (options.McDropout > 0)
            {
                classifier.RequireDropout();
            }

            if (options.Tta)
            {
                classifier.RequireViews();
            }

            backbone = classifier.Members[0].OpenBackbone(options);
            return new Predictor(options, device, classifier, rule, backbone, stop);
        }
        catch
        {
            backbone?.Dispose();
            classifier?.Dispose();
            device?.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The answer for one whole video. For what cannot be read there is one too, with status and error instead of a probability.
    /// </summary>
    /// <exception cref="VideoException">No video at all can be read here: there is no FFmpeg.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public Prediction Predict(string path, CancellationToken stop = default) => Whole([path], stop: stop)[path];

    /// <summary>One answer for each whole video.</summary>
    /// <param name="paths">Distinct.</param>
    /// <returns>By path.</returns>
    /// <exception cref="VideoException">No video at all can be read here: there is no FFmpeg.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public IReadOnlyDictionary<string, Prediction> Whole(IReadOnlyList<string> paths, Action<ExtractionProgress>? progress = null,
        CancellationToken stop = default)
    {
        int views = _options.Tta ? ClipView.ForPrediction : 1;
        int workers = _options.Workers > 0 ? DeviceChoice.MostDecoders(_options.Workers) : Environment.ProcessorCount;
        Clip[] clips = [.. paths.Select(Clip.Of)];
        Dictionary<string, Prediction> predictions = [];
        for (int view = 0; view < views; view++)
        {
            int before = view * paths.Count;
            var extractor = new FeatureExtractor(
                _device.Device, _network is null ? null : _network.Forward,
                new ExtractorOptions(Info.Frames, workers, TimeSpan.FromSeconds(_options.DecodeTimeout), Info.Stream)
                {
                    View = ClipView.All[view],
                    Shape = _backbone.Shape,
                });
            extractor.Run(
                clips,
                (clip, rgb, motion, fault, reason, _) => predictions[clip.Path] = fault == VideoFault.None
                    ? With(predictions.GetValueOrDefault(clip.Path), clip.Path, Answer(rgb, motion), reason)
                    : new Prediction(clip.Path, null, null, Threshold, VideoFaults.StatusOf(fault), reason, null)
                    {
                        Thresholds = Thresholds,
                    },
                p => progress?.Invoke(p with { Videos = before + p.Videos, Total = views * paths.Count }),
                stop);
            clips = [.. clips.Where(clip => predictions[clip.Path].IsAnswered)];
        }

        return predictions;

        Prediction With(Prediction? views, string path, ClipAnswer answer, string note)
        {
            if (views is null)
            {
                return new Prediction(path, ViolentOf(answer.Scores), LabelOf(answer.Scores), Threshold, "ok", null, answer.Attention)
                {
                    Probabilities = ProbabilitiesOf(answer.Scores),
                    Thresholds = Thresholds,
                    Distance = answer.Distance,
                    Note = note.Length > 0 ? note : null,
                    Views = _options.Tta && Info.ClassList.IsViolence ? [answer.Violent] : null,
                    ClassViews = _options.Tta && !Info.ClassList.IsViolence ? [ProbabilitiesOf(answer.Scores)!] : null,
                    Uncertainty = _options.McDropout > 0 ? _classifier.AnswerWithDropout(_batch, _options.McDropout, _options.Seed) : null,
                };
            }

            if (views.ClassViews is { } earlier)
            {
                IReadOnlyDictionary<string, double>[] each = [.. earlier, ProbabilitiesOf(answer.Scores)!];
                double[] means = [.. Info.Classes.Select(name => each.Average(view => view[name]))];
                return views with { Probabilities = ProbabilitiesOf(means), Label = LabelOf(means), ClassViews = each };
            }

            double[] all = [.. views.Views!, answer.Violent];
            double mean = all.Average();
            return views with { Violent = mean, Label = LabelOf([mean]), Views = all };
        }
    }

    /// <summary>Answers for the windows of one video of any length: <see cref="WindowScorer"/>.</summary>
    /// <param name="progress">Called after each window with its end, in seconds.</param>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public WindowedPrediction ByWindow(string path, WindowPlan plan, Action<double> progress, CancellationToken stop)
    {
        ScoredVideo video = Scorer.Run(path, plan, progress, stop);
        bool isViolence = Info.ClassList.IsViolence;
        IReadOnlyList<WindowScore> windows = isViolence
            ? Timeline.Smooth(video.Windows, _options.Windows.Smooth)
            : Timeline.SmoothClasses(video.Windows, _options.Windows.Smooth, Info.ClassList, Rule);

        // Of the known pair the worst moment counts; of other classes every moment.
        double[]? scores = windows.Count == 0 ? null
            : isViolence ? [windows.Max(window => window.Smoothed)]
            : [.. Info.ClassList.Names.Select((_, label) => windows.Average(window => window.Scores![label]))];
        bool isWhole = video.Fault == VideoFault.None;
        var prediction = new Prediction(
            path, scores is null ? null : ViolentOf(scores), scores is null ? null : LabelOf(scores), Threshold,
            isWhole ? "ok" : VideoFaults.StatusOf(video.Fault), isWhole ? null : video.Reason, null)
        {
            Probabilities = scores is null ? null : ProbabilitiesOf(scores),
            Thresholds = Thresholds,
            Windows = windows,
            Note = windows.Count > 0 && !video.HasMotion ? FeatureExtractor.NoMotion : null,
            Distance = windows.Count > 0 && windows[0].Distance is not null
                ? windows.Select(window => window.Distance!.Value).Order().ElementAt(windows.Count / 2)
                : null,
            Events = isViolence
                ? Timeline.Events(windows, Threshold, Release)
                : Timeline.Stretches(windows, Info.ClassList, Rule, Release),
            Release = Release,
        };
        return new WindowedPrediction(prediction, video.Samples, video.Info);
    }

    public void Dispose()
    {
        _scorer?.Dispose();
        _batch.Dispose();
        _network?.Dispose();
        _backbone.Dispose();
        _classifier.Dispose();
        _device.Dispose();
    }

    /// <summary>
    /// The class that scores are called by, at this predictor's thresholds unless another is given, which is that of every class; null
    /// where it is none.
    /// </summary>
    internal string? LabelOf(double[] scores, double? threshold = null)
    {
        DecisionRule rule = threshold is not { } asked ? Rule
            : Info.ClassList.IsViolence ? new DecisionRule(asked)
            : new DecisionRule(double.NaN) { OfClasses = [.. Enumerable.Repeat(asked, Info.ClassList.Count)] };
        return rule.Called(scores) is var label and not DecisionRule.Nothing ? Info.Classes[label] : null;
    }

    private double? ViolentOf(double[] scores) => Info.ClassList.IsViolence ? scores[0] : null;

    /// <summary>Of each class by its name; null for the known pair.</summary>
    internal IReadOnlyDictionary<string, double>? ProbabilitiesOf(double[] scores) => Info.ClassList.IsViolence
        ? null
        : new OrderedDictionary<string, double>(Info.Classes.Zip(scores, KeyValuePair.Create));

    private ClipAnswer Answer(ReadOnlySpan<float> rgb, ReadOnlySpan<float> motion)
    {
        FeatureStreams.Join(rgb, motion, _batch.Features.AsSpan<float>(0, rgb.Length + motion.Length));
        return _classifier.Answer(_batch);
    }
}
