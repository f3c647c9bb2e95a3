using System.Globalization;
using System.Text;
using System.Text.Json;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Formats.TensorBoard;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.RunFiles;

/// <summary>
/// The files of a run in its checkpoint folder. Every file but the two logs and the event files is replaced as a whole, atomically.
/// </summary>
internal sealed class RunFolder : IDisposable
{
    internal const string ConfigName = "training_config.json", ResultsName = "training_results.json", HistoryName = "training_history.csv",
        ReportName = "report.html", ProfileName = "profile_trace.json", LockName = ".run.lock";

    private const string StepsHeader = "step,epoch,seconds,loss,grad_norm,lr,loss_scale,skipped";
    private const string HistoryHeader =
        "epoch,seconds,stall_seconds,lr,loss,accuracy,val_loss,val_accuracy,val_balanced_accuracy,val_auc,val_precision,val_recall,val_f1,grad_norm,loss_scale,skipped_steps";

    /// <summary>Characters of a row of the steps file: 8 columns, and no number is longer than 25.</summary>
    private const int LongestStep = 8 * 26;

    private const string BestModelName = "best_model.safetensors";

    private const string TensorBoardName = "tensorboard";

    private readonly FolderLock? _lock;
    private readonly StreamWriter? _log;
    private readonly string[] _replaced;
    private StreamWriter? _steps;

    private RunFolder(string path, string[] replaced, FolderLock? held)
    {
        Path = path;
        _replaced = replaced;
        _lock = held;
        _log = held is null ? null : new StreamWriter(System.IO.Path.Combine(path, "train.log"), append: true) { AutoFlush = true };
    }

    public string Path { get; }

    /// <summary>Whether this process writes the run's files; otherwise what would write does nothing, and others read.</summary>
    public bool Writes => _log is not null;

    public string BestModel => File(BestModelName);

    /// <summary>The same weights for Keras.</summary>
    public string BestKerasModel => File("best_model.h5");

    /// <summary>The average of that name, <c>ema</c> or <c>swa</c>.</summary>
    public string AveragedModel(string average) => File($"{average}_model.safetensors");

    public string LastCheckpoint => File("last.ckpt");

    public string Results => File(ResultsName);

    /// <summary>Spans for Perfetto.</summary>
    public string Profile => File(ProfileName);

    /// <summary>Folder of event files, which TensorBoard shows.</summary>
    public string TensorBoard => File(TensorBoardName);

    /// <summary>The model file that <paramref name="path"/> stands for: itself, or the best model of a run's folder.</summary>
    public static string ModelAt(string path) =>
        path != BundledModel.Name && Directory.Exists(path)
            ? System.IO.Path.Combine(path, BestModelName)
            : BundledModel.Resolve(path);

    /// <summary>
    /// Opens the folder for a run, which until the end is the only one that writes to it. The files of a run to be replaced stay until
    /// <see cref="Begin"/>.
    /// </summary>
    /// <exception cref="RunException">
    /// Another process writes to it, or it already holds a run and neither resuming nor overwriting was asked for.
    /// </exception>
    public static RunFolder Open(string path, bool resume, bool overwrite)
    {
        FolderLock? held = null;
        try
        {
            Directory.CreateDirectory(path);
            held = FolderLock.Take(path, LockName);
            string[] old = RequireFree(path, resume, overwrite);
            AtomicFile.DeleteStale(path);
            return new RunFolder(path, resume ? [] : old, held);
        }
        catch (FolderLockedException exception)
        {
            throw new RunException($"{exception.Message}, for another run.",
                $"Wait until it has ended, stop it, or choose another {SettingName.Of(nameof(TrainingOptions.CheckpointDir))}.");
        }
        catch (Exception exception)
        {
            held?.Dispose();
            if (exception is not (IOException or UnauthorizedAccessException))
            {
                throw;
            }

            throw new RunException($"'{path}' cannot be used for checkpoints: {exception.Message}",
                $"Choose another {SettingName.Of(nameof(TrainingOptions.CheckpointDir))}.");
        }
    }

    /// <summary>Changes nothing.</summary>
    /// <returns>The files of a run that the folder holds.</returns>
    /// <exception cref="RunException">It already holds a run and neither resuming nor overwriting was asked for.</exception>
    internal static string[] RequireFree(string path, bool resume, bool overwrite)
    {
        string[] old = Directory.Exists(path)
            ? [.. Directory.EnumerateFiles(path).Where(IsOurs), .. EventFiles(System.IO.Path.Combine(path, TensorBoardName))]
            : [];
        return old.Length == 0 || resume || overwrite
            ? old
            : throw new RunException(
                $"'{path}' already holds a run ({System.IO.Path.GetFileName(old[0])}).",
                $"Continue it with {SettingName.Of(nameof(TrainingOptions.Resume))} auto, replace it with " +
                    $"{SettingName.Of(nameof(TrainingOptions.Overwrite))}, or choose another " +
                        $"{SettingName.Of(nameof(TrainingOptions.CheckpointDir))}.");
    }

    /// <summary>What the run in a folder ran on; null where there is none, or one of another version.</summary>
    public static TrainingOptions? OptionsAt(string folder)
    {
        string file = System.IO.Path.Combine(folder, ConfigName);
        try
        {
            return System.IO.File.Exists(file)
                ? StrictJson.Deserialize(System.IO.File.ReadAllText(file), RunJson.Default.TrainingOptions)
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The folder of a run that another process writes, or of one that leaves no files.</summary>
    public static RunFolder Follow(string path) => new(path, [], held: null);

    /// <summary>
    /// The run is about to write: removes the one it replaces. Before this, bad options or data may still end it and nothing is lost.
    /// </summary>
    public void Begin()
    {
        foreach (string file in _replaced)
        {
            System.IO.File.Delete(file);
        }

        if (_replaced.Length > 0 && Directory.Exists(TensorBoard))
        {
            foreach (string folder in Directory.GetDirectories(TensorBoard).Append(TensorBoard)
                .Where(folder => !Directory.EnumerateFileSystemEntries(folder).Any()))
            {
                Directory.Delete(folder);
            }
        }
    }

    /// <summary>Training goes on: what was said of the run at its earlier end is no longer true of it.</summary>
    public void ForgetResults()
    {
        foreach (string name in (string[])[ResultsName, ReportName, PredictionFile.NameOf("val"), PredictionFile.NameOf("test")])
        {
            System.IO.File.Delete(File(name));
        }
    }

    public string NumberedCheckpoint(int epoch) => File($"checkpoint_epoch_{epoch:D3}.ckpt");

    /// <summary>Deletes all but the newest <paramref name="keep"/> numbered checkpoints.</summary>
    public void PruneCheckpoints(int keep)
    {
        foreach (string old in Directory.EnumerateFiles(Path, "checkpoint_epoch_*.ckpt").OrderByDescending(EpochOf).Skip(keep))
        {
            System.IO.File.Delete(old);
        }
    }

    public void Log(string text)
    {
        try
        {
            _log?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-ddTHH:mm:ssZ} {text}"));
        }
        catch (IOException)
        {
            // On a full disk the log is what can be missed; what must be written says so itself.
        }
    }

    public void WriteConfig(TrainingOptions effective) =>
        Write(File(ConfigName), JsonSerializer.Serialize(effective, RunJson.Default.TrainingOptions) + "\n");

    /// <summary>Writes the whole history, so that it always matches the checkpoint beside it.</summary>
    public void WriteHistory(IReadOnlyList<EpochRecord> history)
    {
        StringBuilder text = new StringBuilder(HistoryHeader).Append('\n');
        foreach (EpochRecord e in history)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"{e.Epoch},{e.Seconds:F3},{e.StallSeconds:F4},{e.LearningRate:R},{e.Loss:R},{e.Accuracy:R},{e.ValLoss:R},{e.ValAccuracy:R},{e.ValBalancedAccuracy:R},")
                .Append(CultureInfo.InvariantCulture,
                    $"{e.ValAuc:R},{e.ValPrecision:R},{e.ValRecall:R},{e.ValF1:R},{e.GradientNorm:R},{e.LossScale:R},{e.SkippedSteps}\n");
        }

        Write(File(HistoryName), text.ToString());
    }

    /// <summary>
    /// Begins or continues training_steps.csv: rows from <paramref name="nextStep"/> on, which a killed run may have left, are dropped.
    /// </summary>
    public void OpenSteps(long nextStep)
    {
        if (!Writes)
        {
            return;
        }

        string path = File("training_steps.csv");
        IEnumerable<string> kept = nextStep > 0 && System.IO.File.Exists(path)
            ? System.IO.File.ReadLines(path).Skip(1).Where(line =>
                line.Count(c => c == ',') == StepsHeader.Count(c => c == ',')
                    && long.TryParse(line.AsSpan(0, line.IndexOf(',')), CultureInfo.InvariantCulture, out long step) && step < nextStep)
            : [];
        AtomicFile.WriteAllText(path, string.Concat(kept.Prepend(StepsHeader).Select(line => line + "\n")));
        _steps = new StreamWriter(path, append: true);
    }

    public void WriteStep(long step, int epoch, double seconds, in StepOutcome outcome, double learningRate)
    {
        Span<char> line = stackalloc char[LongestStep];
        line.TryWrite(
            CultureInfo.InvariantCulture,
            $"{step},{epoch},{seconds:F6},{outcome.Loss:R},{outcome.GradientNorm:R},{learningRate:R},{outcome.LossScale:R},{(outcome.Skipped ? 1 : 0)}",
            out int length);
        _steps?.WriteLine(line[..length]);
    }

    public void FlushSteps() => _steps?.Flush();

    /// <summary>predictions_val.csv or predictions_test.csv.</summary>
    public void WritePredictions(string split, string csv) => Write(File(PredictionFile.NameOf(split)), csv);

    public void WriteResults(string json) => Write(Results, json + "\n");

    public void Dispose()
    {
        foreach (IDisposable? file in (IDisposable?[])[_steps, _log, _lock])
        {
            try
            {
                file?.Dispose();
            }
            catch (IOException)
            {
                // Buffered lines that a full disk refuses; how the run ended matters more, and the rest is to be closed, too.
            }
        }
    }

    /// <summary>Names need not sort by epoch: they have three digits or more.</summary>
    private static int EpochOf(string checkpoint) =>
        int.TryParse(System.IO.Path.GetFileNameWithoutExtension(checkpoint).AsSpan("checkpoint_epoch_".Length),
            CultureInfo.InvariantCulture, out int epoch) ? epoch : int.MaxValue;

    /// <summary>Files of a run; not the log, which also tells of runs that never began.</summary>
    private static bool IsOurs(string file) => System.IO.Path.GetFileName(
        file) is BestModelName or "best_model.h5" or "ema_model.safetensors" or "swa_model.safetensors" or "last.ckpt" or HistoryName or "training_steps.csv"
        or ResultsName or ConfigName or ReportName or ProfileName or "predictions_val.csv" or "predictions_test.csv"
            || System.IO.Path.GetFileName(file).StartsWith("checkpoint_epoch_", StringComparison.Ordinal);

    /// <summary>Only these: whatever else stands in the folder is not of a run.</summary>
    private static IEnumerable<string> EventFiles(string folder) =>
        Directory.Exists(folder) ? Directory.EnumerateFiles(folder, EventFileWriter.NamePrefix + "*", SearchOption.AllDirectories) : [];

    private void Write(string path, string text)
    {
        if (Writes)
        {
            AtomicFile.WriteAllText(path, text);
        }
    }

    private string File(string name) => System.IO.Path.Combine(Path, name);
}
