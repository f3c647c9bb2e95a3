using CudaTrainer.Training.Drift;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Fitting;

/// <summary>Measures the models that a run has made, each as it was saved, on the splits that it was not trained on.</summary>
internal sealed class RunEvaluation(
    TrainingOptions options, RunFolder folder, IRunObserver observer, WeightAverages averages, ProcessGroup? processes,
    ReplicaGroup replicas, IReadOnlyList<(string Name, IFeatureRows Rows)> splits)
{
    /// <summary>The best epoch's, whose predictions are written.</summary>
    /// <returns>By split, at the model's own threshold and, of the known pair, with <c>_at_half</c>, at 0.5.</returns>
    public Dictionary<string, ClassificationMetrics> Best() => Evaluate(folder.BestModel, folder.WritePredictions);

    /// <summary>What each data set comes to by itself.</summary>
    /// <param name="all">As <see cref="Best"/> returns them.</param>
    /// <returns>By name; null where there is one data set alone.</returns>
    public IReadOnlyDictionary<string, DatasetResult>? Datasets(IReadOnlyDictionary<string, ClassificationMetrics> all)
    {
        string[] names = [.. splits.SelectMany(split => DatasetsOf(split.Rows)).OfType<string>().Distinct().Order(StringComparer.Ordinal)];
        return names.Length == 0 ? null : new OrderedDictionary<string, DatasetResult>(names.Select(name =>
            KeyValuePair.Create(name, new DatasetResult(Of("val", name), Of("test", name)))));

        ClassificationMetrics? Of(string split, string dataset) => all.GetValueOrDefault(Evaluations.Key(split, dataset));
    }

    /// <summary>Makes models of the averages, with batch statistics and a threshold of their own, and measures them.</summary>
    public List<AverageResult> Averages(IFeatureRows train, IFeatureRows val, ModelInfo info, TrainingState state, FeatureScaler? scaler,
        Familiarity? familiarity, ClipContents? clips, CancellationToken stop)
    {
        List<AverageResult> results = [];
        foreach (WeightAverage average in averages.All)
        {
            int updates = averages.UpdatesBy(average, state);
            if (updates == 0)
            {
                observer.Message(Severity.Warning,
                    $"there is no {average.Name} model: the run ended after epoch {state.Epoch}, before there was anything to average");
                continue;
            }

            string file = folder.AveragedModel(average.Name);
            if (folder.Writes)
            {
                Save(average, file);
            }

            Dictionary<string, ClassificationMetrics> all = Evaluate(file, (_, _) => { });
            results.Add(new AverageResult(
                average.Name, average.Text, Path.GetFileName(file), updates, all["val"], all.GetValueOrDefault("test"),
                    all.GetValueOrDefault("val_at_half"), all.GetValueOrDefault("test_at_half")));
        }

        return results;

        void Save(WeightAverage average, string file)
        {
            // One replica is enough, and asks nothing of the other processes: they read the file.
            Learner lead = replicas.Lead;
            lead.Parameters.Values.Write((ReadOnlySpan<float>)average.Values);
            BatchNormStatistics.Estimate(lead, train, options.BatchSize, scaler, stop);
            using ReplicaGroup alone = ReplicaGroup.Of(lead);
            using var evaluator = new Evaluator(alone, val, options.BatchSize, scaler);
            Evaluation answers = evaluator.Run();
            double threshold = options.Threshold == ThresholdRule.Half && val.Classes.IsViolence ? 0.5 : answers.BestThreshold();
            ModelInfo averaged = info with
            {
                Epoch = state.Epoch,
                Threshold = threshold,
                Average = average.Text,
                Drift = info.Drift.With(answers.Scores, val.Classes, threshold),
            };
            Checkpoint.SaveModel(file, lead, averaged, scaler, familiarity: familiarity, clips: clips);
        }
    }

    private static string?[] DatasetsOf(IFeatureRows rows) => [.. Enumerable.Range(0, rows.Count).Select(rows.DatasetOf)];

    /// <summary>
    /// Loads a model file and measures it on each split, at its own threshold and at 0.5 (<c>_at_half</c>), and on each data set's part of
    /// a split where there are several (<see cref="Evaluations.Key"/>).
    /// </summary>
    /// <param name="writePredictions">Takes the name of a split and its predictions.</param>
    private Dictionary<string, ClassificationMetrics> Evaluate(string file, Action<string, string> writePredictions)
    {
        // Rank 0 has written it.
        processes?.Meet();
        using Checkpoint model = Checkpoint.Open(file);
        model.LoadModel(replicas);
        var all = new Dictionary<string, ClassificationMetrics>();
        foreach ((string name, IFeatureRows rows) in splits)
        {
            using var evaluator = new Evaluator(replicas, rows, options.BatchSize);
            Evaluation evaluation = evaluator.Run(withAttention: true);
            if (folder.Writes)
            {
                writePredictions(name, PredictionFile.Text(evaluation, rows));
            }

            double threshold = model.Info!.Threshold;
            all[name] = evaluation.MetricsAt(threshold);
            foreach ((string dataset, Evaluation part) in Evaluations.ByDataset(evaluation, DatasetsOf(rows)))
            {
                all[Evaluations.Key(name, dataset)] = Bootstrap.WithIntervals(part.MetricsAt(threshold), part.Labels, part.Scores);
            }

            if (evaluation.Classes.IsViolence)
            {
                all[name + "_at_half"] = evaluation.MetricsAt(0.5);
            }
        }

        return all;
    }
}
