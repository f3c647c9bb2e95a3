using System.Globalization;
using System.Text;
using System.Text.Json;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Formats.TensorBoard;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Fitting;

/// <summary>
/// What TensorBoard shows of a run: runs <c>train</c> and <c>validation</c> with Keras's names, and the settings beside them. Events wait
/// in memory until the state that they tell of is saved: a run that goes on from that state writes no event
/// again. A file that cannot be written costs a warning and the rest of the events, never the run.
/// </summary>
internal sealed class TensorBoardLog : IDisposable
{
    /// <summary>Settings that decide nothing, by their names in JSON.</summary>
    private static readonly HashSet<string> Places = [.. Setting.Of(typeof(TrainingOptions))
        .Where(setting => setting.Role.HasFlag(SettingRole.Place))
        .Select(setting => JsonNamingPolicy.SnakeCaseLower.ConvertName(setting.Property.Name))];

    private readonly TrainingOptions _options;
    private readonly ModelInfo _info;
    private readonly IRunObserver _observer;
    private readonly TimeProvider _clock;
    private readonly EventFileWriter _settings;
    private readonly EventFileWriter _train;
    private readonly EventFileWriter _validation;
    private readonly double[] _buckets = new double[HistogramBuckets.Count * HistogramBuckets.Columns];
    private float[] _values = [];
    private long _lastStep;
    private int _stepsPerEpoch;
    private volatile bool _isOff;
    private volatile string? _untold;

    private TensorBoardLog(string folder, TrainingOptions options, ModelInfo info, IRunObserver observer, TimeProvider clock)
    {
        _options = options;
        _info = info;
        _observer = observer;
        _clock = clock;

        // The settings stand above the two runs: to TensorBoard the metrics of both are then those of one trial.
        _settings = new EventFileWriter(folder, clock);
        _train = new EventFileWriter(Path.Combine(folder, "train"), clock);
        _validation = new EventFileWriter(Path.Combine(folder, "validation"), clock);
    }

    /// <summary>The log of a run in this folder; null when it is switched off or another process writes.</summary>
    public static TensorBoardLog? Open(RunFolder folder, TrainingOptions options, ModelInfo info, IRunObserver observer) =>
        options.Tensorboard && folder.Writes ? new TensorBoardLog(folder.TensorBoard, options, info, observer, TimeProvider.System) : null;

    /// <summary>Training begins, or goes on, from this state.</summary>
    public void Begin(TrainingState state, int stepsPerEpoch)
    {
        _stepsPerEpoch = stepsPerEpoch;

        // Epoch curves count epochs, batch curves steps. What a reader drops from this step on, because it belongs to a run that was given
        // up, is of neither.
        long nextStep = ((long)state.Epoch * stepsPerEpoch) + state.StepInEpoch;
        long first = nextStep == 0 ? 0 : Math.Max(state.Epoch + 1, nextStep);
        _lastStep = first;
        if (_options.Resume is not null)
        {
            _settings.SessionStart(first);
            _train.SessionStart(first);
            _validation.SessionStart(nextStep == 0 ? 0 : state.Epoch + 1);
        }

        using JsonDocument options = JsonSerializer.SerializeToDocument(_options, RunJson.Default.TrainingOptions);
        ProtoWriter summary = _settings.BeginSummary(first);
        summary.Markdown("configuration", Configuration(options.RootElement));
        summary.SessionStart(options.RootElement.EnumerateObject().Where(option => !Places.Contains(option.Name)), Seconds());
        _settings.EndSummary();
    }

    /// <summary>A step that is logged by itself.</summary>
    /// <param name="step">From 0, over all epochs.</param>
    public void Step(long step, in StepOutcome outcome, double learningRate, double clipsPerSecond)
    {
        if (_isOff)
        {
            return;
        }

        ProtoWriter summary = _train.BeginSummary(step);
        summary.Scalar("batch_loss", outcome.Loss);
        summary.Scalar("batch_learning_rate", learningRate);
        summary.Scalar("optim/batch_grad_norm", outcome.GradientNorm);
        summary.Scalar("optim/batch_loss_scale", outcome.LossScale);
        summary.Scalar("throughput/batch_clips_per_s", clipsPerSecond);
        _train.EndSummary();
    }

    /// <summary>An epoch has ended.</summary>
    /// <param name="clips">For training.</param>
    /// <param name="parameters">Of one replica, with the gradients of the epoch's last step.</param>
    public void Epoch(EpochRecord epoch, int clips, ParameterSet parameters)
    {
        TellProblem();
        if (_isOff)
        {
            return;
        }

        _lastStep = Math.Max(epoch.Epoch, (long)epoch.Epoch * _stepsPerEpoch);
        ProtoWriter train = _train.BeginSummary(epoch.Epoch);
        train.Scalar("epoch_loss", epoch.Loss);
        train.Scalar("epoch_accuracy", epoch.Accuracy);
        train.Scalar("epoch_learning_rate", epoch.LearningRate);
        train.Scalar("optim/grad_norm", epoch.GradientNorm);
        train.Scalar("optim/loss_scale", epoch.LossScale);
        train.Scalar("optim/skipped_steps", epoch.SkippedSteps);
        train.Scalar("throughput/clips_per_s", clips / epoch.Seconds);
        train.Scalar("throughput/stall_fraction", epoch.StallSeconds / epoch.Seconds);
        if (_options.TensorboardHistograms > 0 && (epoch.Epoch - 1) % _options.TensorboardHistograms == 0)
        {
            Histograms(train, parameters, parameters.Values.Download, "histogram");
            Histograms(train, parameters, parameters.Gradients.Download, "gradient_histogram");
        }

        _train.EndSummary();
    }

    /// <summary>Takes all events so far.</summary>
    /// <param name="epoch">The epoch that has ended, and what became of its validation, whose charts take a while to draw.</param>
    /// <returns>
    /// Draws and writes them, on any thread, once the state that they tell of is saved; before this is called again.
    /// </returns>
    public Action Collect(EpochRecord epoch, Evaluation val)
    {
        byte[] settings = _settings.Take(), train = _train.Take();
        return () =>
        {
            if (!_isOff)
            {
                Validation(epoch, val);
                Write(settings, train);
            }
        };
    }

    /// <summary>The state that all events so far tell of is saved: writes them.</summary>
    public void Commit()
    {
        Write(_settings.Take(), _train.Take());
        TellProblem();
    }

    private void Write(ReadOnlySpan<byte> settings, ReadOnlySpan<byte> train)
    {
        if (_isOff)
        {
            return;
        }

        try
        {
            _settings.Write(settings);
            _train.Write(train);
            _validation.Flush();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            (_untold, _isOff) = ($"TensorBoard gets no more of this run: {exception.Message}", true);
        }
    }

    /// <summary>On the thread of the run: what went wrong on another.</summary>
    private void TellProblem()
    {
        if (_untold is { } problem)
        {
            _untold = null;
            _observer.Message(Severity.Warning, problem);
        }
    }

    /// <summary>The run has reached its end. One that was interrupted or failed has none.</summary>
    public void Complete()
    {
        // Nothing to add to a run that had ended before.
        if (_stepsPerEpoch == 0)
        {
            return;
        }

        _settings.BeginSummary(_lastStep).SessionEnd(Seconds());
        _settings.EndSummary();
        Commit();
    }

    public void Dispose()
    {
        _settings.Dispose();
        _train.Dispose();
        _validation.Dispose();
    }

    private void Validation(EpochRecord epoch, Evaluation val)
    {
        ClassificationMetrics metrics = val.MetricsAt(0.5);
        ProtoWriter summary = _validation.BeginSummary(epoch.Epoch);
        summary.Scalar("epoch_loss", epoch.ValLoss);
        summary.Scalar("epoch_accuracy", epoch.ValAccuracy);
        summary.Scalar("epoch_balanced_accuracy", epoch.ValBalancedAccuracy);
        summary.Scalar("epoch_auc", epoch.ValAuc);
        summary.Scalar("epoch_pr_auc", metrics.PrAuc);
        summary.Scalar("epoch_precision", epoch.ValPrecision);
        summary.Scalar("epoch_recall", epoch.ValRecall);
        summary.Scalar("epoch_f1", epoch.ValF1);
        string shown = $"val, epoch {epoch.Epoch}";
        ClipPrediction[] clips = [.. val.Labels.Select((label, clip) => val.Classes.IsViolence
            ? new ClipPrediction(string.Empty, label, val.Scores[clip], 0, [])
            : new ClipPrediction(string.Empty, label, double.NaN, 0, [])
            {
                Probabilities = [.. ClassScores.Of(val.Scores, clip, val.Classes)],
            })];
        if (metrics.PerClass is null)
        {
            summary.PrecisionRecall("pr_curve", PrCurve.Compute(val.Labels, val.Scores));
        }

        Picture("confusion_matrix", ScoreCharts.Confusion(shown, metrics));
        if (metrics.PerClass is { } classes)
        {
            summary.Scalar("epoch_top_2_accuracy", metrics.Top2Accuracy ?? double.NaN);
            foreach ((ClassMetrics one, int label) in classes.Select((one, label) => (one, label)))
            {
                summary.Scalar($"class_precision/{one.Name}", one.Precision);
                summary.Scalar($"class_recall/{one.Name}", one.Recall);
                summary.Scalar($"class_f1/{one.Name}", one.F1);
                summary.Scalar($"class_auc/{one.Name}", one.Auc);
                summary.PrecisionRecall($"pr_curve/{one.Name}",
                    PrCurve.Compute(ClassScores.Against(val.Labels, label), ClassScores.Column(val.Scores, val.Classes, label)));
            }

            Picture("roc", ScoreCharts.Roc("ROC curves, one against the rest",
                ScoreCharts.OfClasses(metrics, clips, ScoreCurves.Roc, one => one.Auc), ofClasses: true));
        }
        else
        {
            Picture("roc", ScoreCharts.Roc("ROC curve",
                [new Series(ScoreCharts.WithAuc(shown, metrics.Auc), 0, ScoreCurves.Roc(clips), SeriesKind.Curve)]));
        }

        _validation.EndSummary();

        void Picture(string tag, Markup chart) => summary.Image(tag, ChartPicture.Width, ChartPicture.Height, ChartPicture.Draw(chart));
    }

    /// <param name="download">Fetches the flat block with a number for each of the parameters.</param>
    private void Histograms(ProtoWriter summary, ParameterSet parameters, Action<Span<float>> download, string name)
    {
        if (_values.Length == 0)
        {
            _values = new float[parameters.Values.Count];
        }

        download(_values);
        int begin = 0;
        foreach (Parameter parameter in parameters.Parameters)
        {
            int count = (int)parameter.Shape.Count;
            HistogramBuckets.Fill(_values.AsSpan(begin, count), _buckets);
            summary.Histogram($"{parameter.Name}/{name}", _buckets);
            begin += count;
        }
    }

    private string Configuration(JsonElement options)
    {
        var text = new StringBuilder("| | |\n|---|---|\n");
        Row("version", _info.EngineVersion);
        Row("backbone", _info.BackboneDescription);
        Row("features", string.Create(CultureInfo.InvariantCulture, $"{_info.Frames} frames of {_info.Inputs}"));
        foreach (JsonProperty option in options.EnumerateObject().Where(option => option.Value.ValueKind != JsonValueKind.Null))
        {
            Row(option.Name, option.Value.ValueKind == JsonValueKind.Array ? string.Join(", ",
                option.Value.EnumerateArray()) : option.Value.ToString());
        }

        return text.ToString();

        void Row(string name, string value) => text.Append(CultureInfo.InvariantCulture,
            $"| {name} | `{value.Replace('\n', ' ').Replace("|", "\\|", StringComparison.Ordinal).Replace('`', '\'')}` |\n");
    }

    private double Seconds() => (_clock.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
}
