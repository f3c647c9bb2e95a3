using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class FlowCorrelationsTests
{
    private const int Columns = 24, Rows = 28, CellColumns = Columns / 4, CellRows = Rows / 4;

    private static readonly (int Down, int Aside, int Lag)[] Offsets =
    [
        (0, 1, 0), (0, 2, 0), (0, 4, 0), (1, 0, 0), (2, 0, 0), (4, 0, 0),
        (0, 0, 1), (0, 0, 2), (0, 0, 4), (0, 0, 7), (0, 2, 1), (2, 0, 1), (0, 4, 2), (4, 0, 2),
    ];

    /// <summary>By the formulas of docs/motion.md, place by place.</summary>
    [Fact]
    public void They_are_those_of_the_formulas()
    {
        (double U, double V)[][] cells = [.. Enumerable.Range(0, 10).Select(pair => Cells(Flow(pair)))];

        float[][] found = Measure(10, forgetBefore: -1);

        for (int pair = 0; pair < 10; pair++)
        {
            double[] expected = Expected(cells[..(pair + 1)]);
            for (int i = 0; i < MotionDescriptor.CorrelationFeatures; i++)
            {
                (double.IsNaN(expected[i]) ? float.IsNaN(found[pair][i]) : Math.Abs(found[pair][i] - expected[i]) < 1e-5)
                    .ShouldBeTrue($"pair {pair}, number {i}: {found[pair][i]} for {expected[i]}");
            }
        }

        found[0][25..].ShouldAllBe(x => float.IsNaN(x));
        found[1].ShouldAllBe(x => float.IsFinite(x));
    }

    [Fact]
    public void A_new_scene_knows_nothing_of_the_one_before()
    {
        float[][] whole = Measure(9, forgetBefore: 4);
        float[][] second = Measure(5, forgetBefore: -1, first: 4);

        whole[4..].ShouldBe(second);
    }

    /// <summary>Narrow pictures have fewer columns than the largest step aside.</summary>
    [Fact]
    public void Offsets_that_reach_beyond_the_picture_are_zeros()
    {
        FlowCorrelations correlations = new(columns: 16, Rows);
        float[] u = [.. Enumerable.Range(0, 16 * Rows).Select(i => i % 7f)], features = new float[MotionDescriptor.CorrelationFeatures];
        fixed (float* across = u)
        {
            for (int pair = 0; pair < 3; pair++)
            {
                correlations.Add(across, across);
            }
        }

        FeatureWriter output = new(features);
        correlations.Put(ref output);

        features[8..12].ShouldBe([0, 0, 0, 0]);
        features[..8].ShouldAllBe(x => x != 0);
        features.ShouldAllBe(x => float.IsFinite(x));
    }

    private static float[][] Measure(int pairs, int forgetBefore, int first = 0)
    {
        FlowCorrelations correlations = new(Columns, Rows);
        float[][] found = new float[pairs][];
        for (int pair = 0; pair < pairs; pair++)
        {
            if (pair == forgetBefore)
            {
                correlations.Forget();
            }

            (float[] u, float[] v) = Flow(first + pair);
            fixed (float* across = u, down = v)
            {
                correlations.Add(across, down);
            }

            found[pair] = new float[MotionDescriptor.CorrelationFeatures];
            FeatureWriter output = new(found[pair]);
            correlations.Put(ref output);
            output.Written.ShouldBe(MotionDescriptor.CorrelationFeatures);
        }

        return found;
    }

    private static (float[] U, float[] V) Flow(int pair)
    {
        Random random = new(100 + pair);
        return ([.. Enumerable.Range(0, Columns * Rows).Select(_ => random.NextSingle() - 0.3f)],
            [.. Enumerable.Range(0, Columns * Rows).Select(i => random.NextSingle() - (i % Columns / 24f))]);
    }

    private static (double U, double V)[] Cells((float[] U, float[] V) flow) =>
        [.. Enumerable.Range(0, CellColumns * CellRows).Select(cell => (MeanOf(flow.U, cell), MeanOf(flow.V, cell)))];

    private static double MeanOf(float[] plane, int cell) => Enumerable.Range(0, 16)
        .Average(i => (double)plane[(((cell / CellColumns * 4) + (i / 4)) * Columns) + (cell % CellColumns * 4) + (i % 4)]);

    /// <param name="cells">Of all pairs of the scene up to the one that is described.</param>
    private static double[] Expected((double U, double V)[][] cells)
    {
        const double Stillness = 1e-3;
        List<double> numbers = [];
        (double U, double V)[] now = cells[^1];
        foreach ((int down, int aside, int lag) in Offsets)
        {
            if (lag > 0 && numbers.Count == 24)
            {
                double squaresAcross = now.Average(cell => cell.U * cell.U);
                numbers.Add(squaresAcross / (squaresAcross + now.Average(cell => cell.V * cell.V) + Stillness));
            }

            int back = Math.Min(lag, cells.Length - 1);
            (int Down, int Aside)[] ways = lag == 0 || (down == 0 && aside == 0) ? [(down, aside)] : [(down, aside), (-down, -aside)];
            ((double U, double V) A, (double U, double V) B)[] places = [.. ways.SelectMany(way =>
                from y in Enumerable.Range(0, CellRows)
                from x in Enumerable.Range(0, CellColumns)
                where y + way.Down is >= 0 and < CellRows && x + way.Aside is >= 0 and < CellColumns
                select (cells[^(1 + back)][(y * CellColumns) + x], now[((y + way.Down) * CellColumns) + x + way.Aside]))];
            if (lag > 0 && back == 0)
            {
                numbers.AddRange([double.NaN, double.NaN, double.NaN, double.NaN]);
                continue;
            }

            double across = places.Average(place => place.A.U * place.B.U), downwards = places.Average(place => place.A.V * place.B.V),
                speeds = places.Average(place => Speed(place.A) * Speed(place.B)),
                first = places.Average(place => Math.Pow(Speed(place.A), 2)), second = places.Average(place => Math.Pow(Speed(place.B), 2)),
                meanFirst = places.Average(place => Speed(place.A)), meanSecond = places.Average(place => Speed(place.B));
            double norm = Math.Sqrt(first * second) + Stillness;
            numbers.AddRange(
            [
                (across + downwards) / norm, across / norm,
                (speeds - (meanFirst * meanSecond))
                    / (Math.Sqrt((first - (meanFirst * meanFirst)) * (second - (meanSecond * meanSecond))) + Stillness),
                (across + downwards) / (speeds + Stillness),
            ]);
        }

        return [.. numbers];
    }

    private static double Speed((double U, double V) flow) => Math.Sqrt((flow.U * flow.U) + (flow.V * flow.V));
}
