using CudaTrainer.Data.Video;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Engine.Tests.Training;

public sealed class MotionWhiteningTests
{
    public static TheoryData<string> Models => ModelCases.Standardised;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(60)]
    public void A_matrix_is_made_of_its_eigenvalues_and_vectors(int n)
    {
        Random random = new(n);
        double[][] matrix = [.. Enumerable.Range(0, n).Select(_ => new double[n])];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                matrix[i][j] = matrix[j][i] = random.NextDouble() - 0.5;
            }
        }

        (double[] values, double[][] vectors) = SymmetricEigen.Decompose([.. matrix.Select(row => row.ToArray())]);
        values.ShouldBeInOrder(SortDirection.Descending);
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                vectors[i].Zip(vectors[j], (x, y) => x * y).Sum().ShouldBe(i == j ? 1 : 0, 1e-12);
                Enumerable.Range(0, n).Sum(k => vectors[k][i] * values[k] * vectors[k][j]).ShouldBe(matrix[i][j], 1e-12);
            }
        }
    }

    [Fact]
    public void Equal_eigenvalues_and_zeros_are_found()
    {
        (double[] values, double[][] _) = SymmetricEigen.Decompose([[2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, -1]]);
        values.ShouldBe([2, 2, 0, -1]);
    }

    /// <summary>Features that rise and fall together, as those of motion do.</summary>
    [Theory]
    [InlineData(FeatureStream.Motion, false)]
    [InlineData(FeatureStream.Motion, true)]
    [InlineData(FeatureStream.Both, false)]
    public void The_clips_means_become_uncorrelated_with_variance_1(FeatureStream stream, bool half)
    {
        MemoryRows rows = Rows(90, stream, half);
        FeatureScaler scaler = FeatureScaler.Fit(rows, stream);
        double[][] clips = [.. Enumerable.Range(0, rows.Count).Select(i => MeanOf(Applied(scaler, rows, i), rows.Dimension))];
        int first = rows.Dimension - MotionFeatures.PerStep, components = scaler.MotionWhitening!.Components;

        components.ShouldBe(50);
        for (int i = 0; i < components; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                // Families are whitened each by itself.
                int ofFirst = FeatureBlock.OfMotion(0)[0].Components;
                if (i < ofFirst == j < ofFirst)
                {
                    clips.Average(clip => clip[first + i] * clip[first + j]).ShouldBe(i == j ? 1 : 0, 0.01, $"{i}, {j}");
                }
            }
        }

        clips.ShouldAllBe(clip => clip.Skip(first + components).All(value => value == 0));
    }

    [Fact]
    public void Few_clips_have_fewer_components()
    {
        FeatureScaler.Fit(Rows(4, FeatureStream.Motion), FeatureStream.Motion).MotionWhitening!.Components.ShouldBe(2 * 3);
        FeatureScaler.Fit(Rows(1, FeatureStream.Motion), FeatureStream.Motion)
            .MotionWhitening!.Matrix.ShouldAllBe(weight => float.IsFinite(weight));
    }

    [Fact]
    public void Features_of_another_stream_are_refused() =>
        Should.Throw<RunException>(() => FeatureScaler.Fit(new MemoryRows(5), FeatureStream.Motion)).Message.ShouldContain("231");

    [Theory]
    [MemberData(nameof(Models))]
    public void The_folded_model_answers_raw_motion_as_the_original_answers_components(string name)
    {
        MemoryRows rows = Rows(60, FeatureStream.Motion);
        ModelCases.ShouldFold(name, rows, FeatureScaler.Fit(rows, FeatureStream.Motion), tolerance: 2e-4);
    }

    /// <summary>90 factors, the first of which moves everything.</summary>
    private static MemoryRows Rows(int count, FeatureStream stream, bool half = false) =>
        new(count, frames: 3, dimension: stream.Dimension(), half: half, change: values =>
    {
        Random random = new(5);
        int dimension = stream.Dimension(), length = 3 * dimension;
        float[] factors = new float[90];
        for (int i = 0; i < values.Length; i++)
        {
            if (i % length == 0)
            {
                for (int f = 0; f < factors.Length; f++)
                {
                    factors[f] = (float)(random.NextDouble() - 0.5) * (f == 0 ? 4 : 1);
                }
            }

            int d = i % dimension;
            values[i] = 2 + factors[0] + factors[d % 90] + (0.5f * factors[(7 * d) % 89]) + (0.1f * random.NextSingle());
        }
    });

    private static float[] Applied(FeatureScaler scaler, MemoryRows rows, int clip)
    {
        float[] row = rows.Values(clip).ToArray();
        scaler.Apply(row);
        return row;
    }

    private static double[] MeanOf(float[] row, int dimension) =>
        [.. Enumerable.Range(0, dimension)
            .Select(d => Enumerable.Range(0, row.Length / dimension).Average(t => (double)row[(t * dimension) + d]))];
}
