using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Drift;

/// <summary>Makes the <see cref="DriftReference"/> of a model from the clips that it learns from.</summary>
internal static class DriftFit
{
    /// <param name="rows">The training clips.</param>
    /// <param name="stream">What their features are of.</param>
    /// <param name="familiarity">As it was found from these clips; null without.</param>
    /// <param name="pictures">What clips look like, as far as it is known.</param>
    /// <returns>Null where too few clips tell anything.</returns>
    public static DriftReference? Of(IFeatureRows rows, FeatureStream stream, Familiarity? familiarity, ClipPictures pictures)
    {
        List<DriftObservation> clips = [];
        List<double> seconds = [];
        bool hasMotion = stream.HasMotion() && stream.Fits(rows.Dimension);
        for (int i = 0; i < rows.Count; i++)
        {
            ClipPicture? picture = pictures.Find(rows.ContentOf(i));
            clips.Add(new DriftObservation(0, 0)
            {
                Speed = hasMotion ? DriftObservation.SpeedOf(MotionOf(rows, i)) : null,
                Pictures = picture?.Statistics,
                FrameRate = picture?.FrameRate ?? 0,
                Height = picture?.Height ?? 0,
            });
            if (picture is { Seconds: > 0 })
            {
                seconds.Add(picture.Value.Seconds);
            }
        }

        Dictionary<string, QuantileSketch> quantities = [];
        foreach (DriftQuantity quantity in DriftQuantity.All)
        {
            double[] values = quantity.Name == DriftQuantity.Distance
                ? [.. familiarity?.HeldOut ?? []]
                : [.. clips.Select(quantity.Value).Where(double.IsFinite)];
            if (values.Length >= DriftReference.FewestClips)
            {
                quantities.Add(quantity.Name, QuantileSketch.Of(values));
            }
        }

        return quantities.Count == 0 ? null : new DriftReference
        {
            Seconds = seconds.Count == 0 ? null : QuantileSketch.Of(seconds).Median,
            Quantities = quantities,
        };
    }

    /// <summary>The same with what the model answers to clips that it has not learned from.</summary>
    /// <param name="scores">[clips, <see cref="ClassList.Scores"/>]; too few of them, and the reference stays as it is.</param>
    /// <param name="threshold">Of the known pair.</param>
    public static DriftReference? With(this DriftReference? reference, ReadOnlySpan<double> scores, ClassList classes, double threshold)
    {
        if (reference is null || scores.Length / classes.Scores < DriftReference.FewestClips)
        {
            return reference;
        }

        int[] called = ClassScores.Called(scores, classes, threshold);
        List<ClassReference> own = [];
        for (int label = 0; label < classes.Count; label++)
        {
            own.Add(new ClassReference(classes[label], (double)called.Count(one => one == label) / called.Length,
                QuantileSketch.Of(ClassScores.Column(scores, classes, label))));
        }

        return reference with { Classes = own };
    }

    /// <summary>[frames, 231].</summary>
    private static unsafe float[] MotionOf(IFeatureRows rows, int index)
    {
        float[] motion = new float[rows.Frames * MotionFeatures.PerStep];
        int first = rows.Dimension - MotionFeatures.PerStep;
        for (int i = 0; i < motion.Length; i++)
        {
            int at = (i / MotionFeatures.PerStep * rows.Dimension) + first + (i % MotionFeatures.PerStep);
            motion[i] = rows.IsHalf ? (float)((Half*)rows.Row(index))[at] : ((float*)rows.Row(index))[at];
        }

        return motion;
    }
}
