namespace CudaTrainer.Bench.Scaling;

/// <summary>
/// The α–β model of a ring all-reduce of n bytes over R ranks, 2 (R − 1) (α + β n / R) seconds: in each of 2 (R − 1) steps every rank sends
/// a chunk of n / R bytes. Thakur, Rabenseifner, Gropp: Optimization of Collective Communication Operations in MPICH, 2005; the cost of
/// adding is part of β here.
/// </summary>
/// <param name="Alpha">Seconds of a message, whatever its size.</param>
/// <param name="Beta">Seconds of a byte.</param>
internal readonly record struct RingCost(double Alpha, double Beta)
{
    /// <summary>Messages that a rank sends one after the other.</summary>
    public static double Messages(int ranks) => 2.0 * (ranks - 1);

    /// <summary>Bytes that a rank sends.</summary>
    public static double Traffic(int ranks, double bytes) => 2.0 * (ranks - 1) / ranks * bytes;

    /// <summary>
    /// α and β with the least sum of squared relative errors: seconds span six orders of magnitude, and the largest would decide alone.
    /// </summary>
    /// <param name="points">Ranks, bytes of the array, seconds of the all-reduce; at least two different sizes.</param>
    /// <remarks>Neither is negative: where the best one would be, it is 0 and the other is fitted alone.</remarks>
    public static RingCost Fit(IEnumerable<(int Ranks, double Bytes, double Seconds)> points)
    {
        double aa = 0, ab = 0, bb = 0, a1 = 0, b1 = 0;
        foreach ((int ranks, double bytes, double seconds) in points)
        {
            double a = Messages(ranks) / seconds, b = Traffic(ranks, bytes) / seconds;
            aa += a * a;
            ab += a * b;
            bb += b * b;
            a1 += a;
            b1 += b;
        }

        double determinant = (aa * bb) - (ab * ab);
        if (!(determinant > 1e-12 * aa * bb))
        {
            throw new ArgumentException("At least two different sizes are needed.", nameof(points));
        }

        double alpha = ((a1 * bb) - (b1 * ab)) / determinant, beta = ((aa * b1) - (ab * a1)) / determinant;
        return alpha < 0 ? new RingCost(0, b1 / bb) : beta < 0 ? new RingCost(a1 / aa, 0) : new RingCost(alpha, beta);
    }

    /// <summary>Seconds of an all-reduce.</summary>
    public double AllReduce(int ranks, double bytes) => (Messages(ranks) * Alpha) + (Traffic(ranks, bytes) * Beta);
}
