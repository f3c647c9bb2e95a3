using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Features;

namespace CudaTrainer.Training.Linear;

/// <summary>Finds what a <see cref="Familiarity"/> needs from the clips that a classifier learns from.</summary>
internal static class FamiliarityFit
{
    private const int Folds = 5;

    /// <param name="rows">The training clips, raw features.</param>
    /// <param name="blocks">Means that have principal components of their own.</param>
    /// <param name="seed">Of the division into folds.</param>
    /// <returns>Null where too few sources have both classes to hold any out.</returns>
    public static Familiarity? Of(IFeatureRows rows, IReadOnlyList<FeatureBlock> blocks, int seed, CancellationToken stop)
    {
        rows = LinearFit.Sample(rows);
        int[] labels = rows.Labels.ToArray(), all = [.. Enumerable.Range(0, rows.Count)];
        string[] sources = [.. all.Select(rows.SourceOf)];
        int parts = Math.Min(Folds, SourceFolds.Most(labels, sources, all));
        if (parts < 2)
        {
            return null;
        }

        var statistics = ClipStatistics.Of(rows);
        (double[] mean, double[] scale) = statistics.Standardize();
        double[][][] products = [.. blocks.Select(block => PrincipalComponents.Products(statistics.Count, statistics.Of(block)))];
        PrincipalComponents[] spaces = Spaces(all);
        int count = spaces.Sum(space => space.Count);
        if (count == 0)
        {
            // All clips are alike.
            return null;
        }

        int[] partOf = SourceFolds.Assign(labels, sources, all, [.. Enumerable.Repeat(1.0 / parts, parts)], seed);
        double[] distances = new double[rows.Count];
        for (int part = 0; part < parts; part++)
        {
            stop.ThrowIfCancellationRequested();
            PrincipalComponents[] seen = Spaces([.. all.Where(clip => partOf[clip] != part)]);
            foreach (int clip in all.Where(clip => partOf[clip] == part))
            {
                double[] along = [.. seen.SelectMany(space => space.Whitened[clip])];
                distances[clip] = Math.Sqrt(along.Sum(value => value * value) / Math.Max(1, along.Length));
            }
        }

        int place = 0;
        float[] components = new float[count * rows.Dimension], offsets = new float[count];
        foreach ((FeatureBlock block, PrincipalComponents space) in blocks.Zip(spaces))
        {
            double[] direction = new double[block.Count];
            for (int c = 0; c < space.Count; c++, place++)
            {
                double[] only = new double[space.Count];
                only[c] = 1;
                double offset = space.Unfold(statistics.Of(block), only, direction);
                for (int d = 0; d < direction.Length; d++)
                {
                    // From standardised numbers to raw ones.
                    float weight = (float)(direction[d] * scale[block.First + d]);
                    components[(place * rows.Dimension) + block.First + d] = weight;
                    offset -= (double)weight * mean[block.First + d];
                }

                offsets[place] = (float)offset;
            }
        }

        double[] sorted = [.. distances.Order()];
        double limit = sorted[(int)(Familiarity.Share * (sorted.Length - 1))];
        return new Familiarity(components, offsets, limit) { HeldOut = [.. distances.Select(distance => distance / limit)] };

        PrincipalComponents[] Spaces(int[] clips) =>
            [.. blocks.Zip(products, (block, product) => PrincipalComponents.Fit(product, LinearFit.Basis(clips), block.Components))];
    }
}
