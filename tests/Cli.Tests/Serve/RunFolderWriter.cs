using System.Globalization;
using System.Text;
using System.Text.Json;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Cli.Tests.Serve;

/// <summary>The files of a training run as they come about, without training.</summary>
internal sealed class RunFolderWriter(string folder)
{
    public string History { get; } = Path.Combine(folder, RunFolder.HistoryName);

    /// <summary>Until it is disposed of, somebody trains.</summary>
    public FolderLock Hold() => FolderLock.Take(folder, RunFolder.LockName);

    public void WriteConfig(int epochs) => File.WriteAllText(
        Path.Combine(folder, RunFolder.ConfigName),
        JsonSerializer.Serialize(new TrainingOptions { Epochs = epochs }, RunJson.Default.TrainingOptions));

    public void WriteResults(int bestEpoch)
    {
        TrainingResult result = new()
        {
            Outcome = RunOutcome.Completed,
            BestEpoch = bestEpoch,
            Monitor = "val_auc",
            CheckpointDir = folder,
            Stages = new Dictionary<string, double>(),
            Device = "cpu",
            Precision = "fp32",
            Backbone = "motion",
        };
        File.WriteAllText(Path.Combine(folder, RunFolder.ResultsName), JsonSerializer.Serialize(result, RunJson.Default.TrainingResult));
    }

    /// <summary>Each epoch takes ten seconds.</summary>
    public void WriteHistory(int epochs) => File.WriteAllText(History, HistoryOf(epochs));

    public static string HistoryOf(int epochs)
    {
        StringBuilder text = new("epoch,seconds,stall_seconds,lr,loss,accuracy,val_loss,val_accuracy,val_balanced_accuracy,val_auc\n");
        for (int epoch = 1; epoch <= epochs; epoch++)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"{epoch},10,0,0.001,{1.0 / epoch:R},0.7,{1.1 / epoch:R},0.6,{0.5 + (0.01 * epoch):R},NaN\n");
        }

        return text.ToString();
    }
}
