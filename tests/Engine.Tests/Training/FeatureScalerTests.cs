using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Engine.Tests.Training;

public sealed class FeatureScalerTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 1);

    public static TheoryData<string> Models => ModelCases.Standardised;

    [Fact]
    public void Standardised_features_have_mean_0_and_deviation_1()
    {
        MemoryRows rows = new(50);
        FeatureScaler scaler = FeatureScaler.Fit(rows);
        double[] sum = new double[rows.Dimension], squares = new double[rows.Dimension];
        for (int i = 0; i < rows.Count; i++)
        {
            float[] row = rows.Values(i).ToArray();
            scaler.Apply(row);
            for (int j = 0; j < row.Length; j++)
            {
                sum[j % rows.Dimension] += row[j];
                squares[j % rows.Dimension] += row[j] * row[j];
            }
        }

        double count = rows.Count * rows.Frames;
        sum.ShouldAllBe(value => Math.Abs(value / count) < 1e-5);
        squares.ShouldAllBe(value => Math.Abs((value / count) - 1) < 1e-4);
    }

    /// <summary>A feature that is the same everywhere, or almost, has nothing to tell and must not become noise.</summary>
    [Fact]
    public void A_constant_feature_stays_small()
    {
        MemoryRows rows = new(20, change: values =>
        {
            for (int i = 0; i < values.Length; i += 16)
            {
                values[i] = 3 + ((i / 16) % 2 * 1e-6f);
            }
        });
        FeatureScaler scaler = FeatureScaler.Fit(rows);
        float[] row = rows.Values(0).ToArray();
        scaler.Apply(row);

        Math.Abs(row[0]).ShouldBeLessThan(1e-3f);
        scaler.Scale.ShouldAllBe(value => float.IsFinite(value));
    }

    /// <summary>Where all is constant but for rounding, a clip that is not must not get numbers of thousands.</summary>
    [Theory]
    [InlineData(0f)]
    [InlineData(1e-6f)]
    public void Where_nothing_differs_nothing_is_blown_up(float rounding)
    {
        MemoryRows rows = new(20, change: values =>
        {
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = 3 + (i % 3 * rounding);
            }
        });
        FeatureScaler scaler = FeatureScaler.Fit(rows);
        float[] other = [.. Enumerable.Repeat(4f, rows.Frames * rows.Dimension)];
        scaler.Apply(other);

        other.ShouldAllBe(value => Math.Abs(value) <= 1);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void The_folded_model_answers_raw_features_as_the_original_answers_standardised_ones(string name)
    {
        MemoryRows rows = new(12);
        ModelCases.ShouldFold(name, rows, FeatureScaler.Fit(rows), tolerance: 1e-5);
    }

    /// <summary>What takes raw features would answer wrongly behind a map that nobody folded in, so that it is refused.</summary>
    [Fact]
    public void A_fitted_model_has_nothing_to_fold_into()
    {
        MemoryRows rows = new(12);
        using Learner learner = new(_device, Classifiers.Create("linear", new ClassifierOptions(rows.Dimension)),
            TrainingFixture.Learner());
        learner.Parameters.Initialize(7);
        float[] before = learner.Parameters.Values.Read<float>();

        Should.Throw<InvalidOperationException>(() => FeatureScaler.Fit(rows).FoldInto(learner.Model))
            .Message.ShouldContain("LinearClassifier takes raw features");
        learner.Parameters.Values.Read<float>().ShouldBe(before);
        Classifiers.Names.Where(ModelCases.IsFitted).ShouldBe(["linear"]);
    }

    public void Dispose() => _device.Dispose();
}
