using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Linear;

/// <summary>The classifier <c>linear</c> in a run: what of the features it looks at, and its weights in a model.</summary>
internal static class LinearTraining
{
    /// <summary>Components of features about which nothing is known: of the means, of the deviations and differences.</summary>
    private const int MeanComponents = 30, OtherComponents = 20;

    /// <summary>Fits the model to clips.</summary>
    /// <param name="start">A linear model of the known pair whose answer is one more number to go by; null for none.</param>
    /// <exception cref="RunException">There is a model to start from, and more than two classes.</exception>
    public static LinearModel Fit(IFeatureRows rows, TrainingOptions options, CancellationToken stop, Learner? start = null)
    {
        if (start is not null && rows.Classes.Count != 2)
        {
            throw new RunException(
                $"{SettingName.Of(nameof(TrainingOptions.Model))} {Classifiers.Linear} can begin with another model of two classes only, " +
                    $"and these are {rows.Classes}.",
                $"Leave {SettingName.Of(nameof(TrainingOptions.InitialWeights))} out, or train another model.");
        }

        return LinearModel.Of(rows, Candidates(rows.Dimension, options.Stream), options.UseClassWeights, options.Seed, stop,
            start is null ? null : LogOdds(start.Model));
    }

    /// <summary>What tells clips that are unlike these; null where too few sources have both classes.</summary>
    public static Familiarity? Familiarity(IFeatureRows rows, TrainingOptions options, CancellationToken stop) =>
        FamiliarityFit.Of(rows, Candidates(rows.Dimension, options.Stream)[0], options.Seed, stop);

    /// <summary>Gives every replica the weights.</summary>
    public static void Write(LinearModel fit, ReplicaGroup replicas)
    {
        float[] weights = [.. fit.Logits.SelectMany(logit => logit.Weights)], biases = [.. fit.Logits.Select(logit => logit.Bias)];
        foreach (Learner learner in replicas.Replicas)
        {
            foreach (Parameter parameter in learner.Model.Parameters)
            {
                parameter.Value.Write((ReadOnlySpan<float>)(parameter.Shape.Count == biases.Length ? biases : weights));
            }
        }
    }

    /// <summary>What a model multiplies the statistics with for its log odds, and then adds.</summary>
    private static LogOdds LogOdds(Classifier model)
    {
        float[] weights = model.Parameters[0].Value.Read<float>(), biases = model.Parameters[1].Value.Read<float>();
        int width = weights.Length / Classifier.Classes;
        return new LogOdds([.. Enumerable.Range(0, width).Select(d => weights[width + d] - weights[d])], biases[1] - biases[0]);
    }

    /// <summary>For the header of a run.</summary>
    public static string LossText(TrainingOptions options) => "logistic, with a penalty on squared weights that is chosen on sources " +
        $"held out{(options.UseClassWeights ? "; both classes count the same" : string.Empty)}";

    /// <summary>
    /// What is looked at: of motion the means alone, each family by itself (docs/motion.md); of other features the means, or their
    /// deviations and differences over time as well.
    /// </summary>
    private static IReadOnlyList<IReadOnlyList<FeatureBlock>> Candidates(int dimension, FeatureStream stream)
    {
        int motion = stream.HasMotion() && stream.Fits(dimension) ? MotionFeatures.PerStep : 0, other = dimension - motion;
        FeatureBlock[] ofMotion = motion == 0 ? [] : FeatureBlock.OfMotion(other);
        if (other == 0)
        {
            return [ofMotion];
        }

        var means = new FeatureBlock(0, other, MeanComponents);
        return
        [
            [means, .. ofMotion],
            [means, new FeatureBlock(dimension, other, OtherComponents), new FeatureBlock(2 * dimension, other, OtherComponents),
                .. ofMotion],
        ];
    }
}
