using CudaTrainer.Data.Dataset;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Linear;

/// <summary>Log odds of <c>violent</c> as a linear function of raw <see cref="ClipStatistics"/>.</summary>
/// <param name="Weights">[3·D].</param>
internal sealed record LogOdds(float[] Weights, float Bias)
{
    public double Of(ReadOnlySpan<float> statistics)
    {
        double score = Bias;
        for (int d = 0; d < statistics.Length; d++)
        {
            score += (double)Weights[d] * statistics[d];
        }

        return score;
    }
}

/// <summary>
/// Fits the classifier <c>linear</c>: logistic regression with L2 on whitened principal components of standardised
/// <see cref="ClipStatistics"/>, block by block, since what varies little tells as much as what varies most. How strong the penalty is, and
/// which set of blocks is looked at, is chosen by cross-validation over sources among the clips that it is given, by the mean log loss of
/// clips held out; the answers of that cross-validation calibrate the result. The numbers of components are not chosen, which would
/// cost a point (docs/ablation.md): the model is the mean of several, with fewer and with more of them.
/// </summary>
internal sealed class LinearFit
{
    /// <summary>More clips than these change a linear model little; of more, evenly spread ones are taken.</summary>
    private const int MostClips = 2000;

    /// <summary>Clips that principal components are found from, evenly spread.</summary>
    private const int MostForComponents = 300;

    private const int InnerFolds = 5;

    /// <summary>Divisions into folds: with few sources one alone is a matter of luck.</summary>
    private const int Divisions = 3;

    /// <summary>Clips up to which there are that many.</summary>
    private const int MostForDivisions = 600;

    /// <summary>λ where there is nothing to choose by.</summary>
    private const double DefaultPenalty = 0.05;

    /// <summary>λ tried, of weights that add up to 1, from strong to weak.</summary>
    private static readonly double[] Penalties = [0.5, 0.2, 0.1, 0.05, 0.02];

    /// <summary>The models that are averaged have so many times each block's number of components.</summary>
    private static readonly double[] Shares = [2 / 3.0, 5 / 6.0, 1, 7 / 6.0, 4 / 3.0];

    /// <summary>The model.</summary>
    public required LogOdds Odds { get; init; }

    /// <summary>λ.</summary>
    public required double Penalty { get; init; }

    /// <summary>What counts.</summary>
    public required IReadOnlyList<FeatureBlock> Blocks { get; init; }

    /// <summary>The clips used.</summary>
    public required int[] Clips { get; init; }

    /// <summary>
    /// p(violent) of each of these clips, calibrated, by fits that have not seen its source; empty where too few sources have both
    /// classes: then nothing was chosen or calibrated.
    /// </summary>
    public required double[] HeldOut { get; init; }

    /// <param name="rows">The clips to learn from, raw features.</param>
    /// <param name="candidates">Sets of blocks to choose from, the likeliest first.</param>
    /// <param name="balance">Whether both classes count the same, whatever their sizes.</param>
    /// <param name="seed">Of the divisions into folds.</param>
    /// <param name="start">A model whose answer is one more number to go by; null for none.</param>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static LinearFit Of(IFeatureRows rows, IReadOnlyList<IReadOnlyList<FeatureBlock>> candidates, bool balance, int seed,
        CancellationToken stop, LogOdds? start = null)
    {
        int[] clips = EvenlySpread(rows.Count, MostClips);
        rows = Sample(rows);
        var statistics = ClipStatistics.Of(rows);
        double[] started = start is null ? [] : [.. Enumerable.Range(0, rows.Count).Select(clip => start.Of(statistics[clip]))];
        double unit = 1 / Math.Max(1e-6, Math.Sqrt(started.Select(odds => odds * odds).DefaultIfEmpty(1).Average()));
        (double[] mean, double[] scale) = statistics.Standardize();
        var problem = new Problem(statistics, [.. started.Select(odds => odds * unit)], rows.Labels.ToArray(),
            [.. Enumerable.Range(0, rows.Count).Select(rows.SourceOf)], balance, candidates, stop);
        Choice choice = problem.Choose(seed);
        (double[] direction, double offset, double trust) = problem.Solve(choice);
        float[] weights = new float[statistics.Width];
        for (int d = 0; d < direction.Length; d++)
        {
            // From standardised numbers to raw ones.
            weights[d] = (float)(direction[d] * scale[d]);
            offset -= (double)weights[d] * mean[d];
            weights[d] += (float)(trust * unit * (start?.Weights[d] ?? 0));
        }

        return new LinearFit
        {
            Odds = new LogOdds(weights, (float)(offset + (trust * unit * (start?.Bias ?? 0)))),
            Penalty = choice.Penalty,
            Blocks = choice.Blocks,
            Clips = clips,
            HeldOut = choice.HeldOut,
        };
    }

    /// <returns>p(violent) of each clip.</returns>
    public double[] Answer(IFeatureRows rows)
    {
        double[] answers = new double[rows.Count];
        float[] statistics = new float[Odds.Weights.Length];
        using var team = new ThreadTeam(1);
        for (int clip = 0; clip < answers.Length; clip++)
        {
            ClipStatistics.Measure(team, rows, clip, statistics);
            answers[clip] = LogisticRegression.Probability(Odds.Of(statistics));
        }

        return answers;
    }

    /// <summary>As many clips as say all there is to say.</summary>
    internal static IFeatureRows Sample(IFeatureRows rows) =>
        rows.Count <= MostClips ? rows : new SelectedRows(rows, EvenlySpread(rows.Count, MostClips));

    /// <summary>Those of some clips that principal components are found from.</summary>
    internal static int[] Basis(int[] clips) => [.. EvenlySpread(clips.Length, MostForComponents).Select(i => clips[i])];

    /// <summary>Every <c>count/most</c>-th where there are more than <paramref name="most"/>.</summary>
    private static int[] EvenlySpread(int count, int most) => count <= most
        ? [.. Enumerable.Range(0, count)]
        : [.. Enumerable.Range(0, most).Select(i => (int)((long)i * count / most))];

    private sealed record Choice(IReadOnlyList<FeatureBlock> Blocks, double Penalty, PlattScaling Calibration, double[] HeldOut);

    /// <summary>Clips in the principal components of some of them.</summary>
    /// <param name="Rows">[clip][k], block after block.</param>
    /// <param name="Views">For each of <see cref="Shares"/> the places in a row that count.</param>
    private sealed record Space(IReadOnlyList<PrincipalComponents> Blocks, double[][] Rows, int[][] Views);

    /// <param name="started">What a model to start from says of each clip; empty without one.</param>
    private sealed class Problem(ClipStatistics statistics, double[] started, int[] labels, string[] sources, bool balance,
        IReadOnlyList<IReadOnlyList<FeatureBlock>> candidates, CancellationToken stop)
    {
        private readonly int[] _all = [.. Enumerable.Range(0, labels.Length)];

        /// <summary>The clips' scalar products by each block.</summary>
        private readonly Dictionary<FeatureBlock, double[][]> _products = candidates.SelectMany(blocks => blocks).Distinct()
            .ToDictionary(block => block, block => PrincipalComponents.Products(statistics.Count, statistics.Of(block)));

        public Choice Choose(int seed)
        {
            int parts = Math.Min(InnerFolds, SourceFolds.Most(labels, sources, _all));
            if (parts < 2)
            {
                return new Choice(candidates[0], DefaultPenalty, PlattScaling.Identity, []);
            }

            double[] shares = [.. Enumerable.Repeat(1.0 / parts, parts)];
            int divisions = labels.Length <= MostForDivisions ? Divisions : 1;
            int[][] partOf = [.. Enumerable.Range(0, divisions).Select(i => SourceFolds.Assign(labels, sources, _all, shares, seed + i))];

            // [candidate][penalty][division][clip]: log odds by the fit that has not seen the clip's source.
            double[][][][] odds = [.. candidates.Select(_ => Penalties.Select(_ => partOf.Select(_ => new double[labels.Length]).ToArray())
                .ToArray())];
            var parallel = new ParallelOptions { CancellationToken = stop };
            System.Threading.Tasks.Parallel.For(0, divisions * parts * candidates.Count, parallel, job =>
            {
                int candidate = job % candidates.Count, part = job / candidates.Count % parts, division = job / candidates.Count / parts;
                int[] fitted = [.. _all.Where(clip => partOf[division][clip] != part)],
                    heldOut = [.. _all.Where(clip => partOf[division][clip] == part)];
                Space space = SpaceOf(candidates[candidate], fitted);
                double[]?[] starts = new double[Shares.Length][];
                for (int penalty = 0; penalty < Penalties.Length; penalty++)
                {
                    double[] beta = Regress(space, fitted, Penalties[penalty], starts);
                    foreach (int clip in heldOut)
                    {
                        odds[candidate][penalty][division][clip] = LogisticRegression.Score(space.Rows[clip], beta);
                    }
                }
            });

            double[] weights = WeightsOf(_all);
            (int chosen, int strength) = Enumerable.Range(0, candidates.Count)
                .SelectMany(candidate => Enumerable.Range(0, Penalties.Length).Select(penalty => (candidate, penalty)))
                .MinBy(setting => odds[setting.candidate][setting.penalty].Sum(division => LogLoss(division, weights)));
            double[][] answers = odds[chosen][strength];
            var calibration = PlattScaling.Fit([.. answers.SelectMany(_ => labels)],
                [.. answers.SelectMany(answer => answer.Select(LogisticRegression.Probability))], balance);
            return new Choice(candidates[chosen], Penalties[strength], calibration,
                [.. _all.Select(clip => calibration.Apply(LogisticRegression.Probability(answers.Average(answer => answer[clip]))))]);
        }

        /// <summary>Of all clips.</summary>
        /// <returns>
        /// The calibrated log odds as a function of the standardised statistics [3·D], and the factor of the model to start from.
        /// </returns>
        public (double[] Direction, double Offset, double Trust) Solve(Choice choice)
        {
            Space space = SpaceOf(choice.Blocks, _all);
            double[] beta = [.. Regress(space, _all, choice.Penalty, new double[Shares.Length][])
                .Select(value => value * choice.Calibration.Slope)];
            double[] direction = new double[statistics.Width];
            double offset = beta[^1] + choice.Calibration.Offset;
            int first = 0;
            foreach ((FeatureBlock block, PrincipalComponents components) in choice.Blocks.Zip(space.Blocks))
            {
                offset += components.Unfold(statistics.Of(block), beta.AsSpan(first, components.Count),
                    direction.AsSpan(block.First, block.Count));
                first += components.Count;
            }

            return (direction, offset, started.Length > 0 ? beta[first] : 0);
        }

        private Space SpaceOf(IReadOnlyList<FeatureBlock> blocks, int[] clips)
        {
            stop.ThrowIfCancellationRequested();
            int[] basis = Basis(clips);
            PrincipalComponents[] components =
                [.. blocks.Select(block =>
                    PrincipalComponents.Fit(_products[block], basis, (int)Math.Round(Shares[^1] * block.Components)))];
            double[][] rows = [.. _all.Select(clip =>
                components.SelectMany(block => block.Whitened[clip]).Concat(started.Skip(clip).Take(1)).ToArray())];
            return new Space(components, rows, [.. Shares.Select(share => Columns(blocks, components, share, rows[0].Length))]);
        }

        /// <summary>The first components of each block, and what stands behind all of them.</summary>
        private static int[] Columns(IReadOnlyList<FeatureBlock> blocks, PrincipalComponents[] found, double share, int width)
        {
            List<int> columns = [];
            int first = 0;
            foreach ((FeatureBlock block, PrincipalComponents components) in blocks.Zip(found))
            {
                columns.AddRange(Enumerable.Range(first, Math.Min(components.Count, (int)Math.Round(share * block.Components))));
                first += components.Count;
            }

            return [.. columns, .. Enumerable.Range(first, width - first)];
        }

        /// <summary>The mean of the models with different shares of the components.</summary>
        /// <param name="starts">Where each begins, and where it has ended.</param>
        /// <returns>[k + 1], the bias last.</returns>
        private double[] Regress(Space space, int[] clips, double penalty, double[]?[] starts)
        {
            double[] mean = new double[space.Rows[0].Length + 1], weights = WeightsOf(clips);
            int[] targets = [.. clips.Select(clip => labels[clip])];
            for (int view = 0; view < Shares.Length; view++)
            {
                int[] columns = space.Views[view];
                double[] beta = starts[view] = LogisticRegression.Fit(
                    [.. clips.Select(clip => columns.Select(column => space.Rows[clip][column]).ToArray())], targets, weights, penalty,
                    starts[view]);
                for (int i = 0; i < columns.Length; i++)
                {
                    mean[columns[i]] += beta[i] / Shares.Length;
                }

                mean[^1] += beta[^1] / Shares.Length;
            }

            return mean;
        }

        private double[] WeightsOf(int[] clips)
        {
            var counts = ClassCounts.Of([.. clips.Select(clip => labels[clip])]);
            return [.. clips.Select(clip => balance ? 0.5 / (labels[clip] == ClassLabel.Violent ? counts.Violent : counts.Nonviolent)
                : 1.0 / clips.Length)];
        }

        private double LogLoss(double[] odds, double[] weights)
        {
            double sum = 0;
            for (int i = 0; i < odds.Length; i++)
            {
                sum += weights[i] * LogisticRegression.Loss(odds[i], labels[i]);
            }

            return sum;
        }
    }
}
