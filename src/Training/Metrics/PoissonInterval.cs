namespace CudaTrainer.Training.Metrics;

/// <summary>
/// The exact 95 % interval of the mean of a Poisson variable that was seen once (Garwood, Biometrika 28, 1936): the means under which what
/// was seen, or anything further away, has a probability of 2.5 % or more on either side.
/// </summary>
internal static class PoissonInterval
{
    private const double Tail = 0.025;

    /// <param name="count">Events seen; the interval of a rate is this one divided by the time in which they were.</param>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative.</exception>
    public static Interval Of(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        double logFactorial = 0;
        for (int i = 2; i <= count; i++)
        {
            logFactorial += Math.Log(i);
        }

        // Both tails are below 2.5 % where the search begins on the outside: ten deviations and more away from the count.
        double low = count == 0 ? 0 : Bisect(0, count, mean => AtLeast(count, mean, logFactorial) < Tail);
        double high = Bisect(count, count + (10 * Math.Sqrt(count)) + 10, mean => AtMost(count, mean, logFactorial) >= Tail);
        return new Interval(low, high);
    }

    /// <summary>Where <paramref name="isBelow"/> turns from true to false, to the last bit.</summary>
    private static double Bisect(double low, double high, Func<double, bool> isBelow)
    {
        while (true)
        {
            double middle = low + ((high - low) / 2);
            if (middle <= low || middle >= high)
            {
                return middle;
            }

            (low, high) = isBelow(middle) ? (middle, high) : (low, middle);
        }
    }

    /// <summary>P(X ≥ count), for a mean up to the count: summed upwards, where the terms fall.</summary>
    private static double AtLeast(int count, double mean, double logFactorial)
    {
        double sum = 1, term = 1;
        for (int i = count + 1; sum + (term *= mean / i) > sum; i++)
        {
            sum += term;
        }

        return sum * Probability(count, mean, logFactorial);
    }

    /// <summary>P(X ≤ count), for a mean from the count on: summed downwards, where the terms fall.</summary>
    private static double AtMost(int count, double mean, double logFactorial)
    {
        double sum = 1, term = 1;
        for (int i = count; sum + (term *= i / mean) > sum; i--)
        {
            sum += term;
        }

        return sum * Probability(count, mean, logFactorial);
    }

    private static double Probability(int count, double mean, double logFactorial) =>
        Math.Exp((count == 0 ? 0 : count * Math.Log(mean)) - mean - logFactorial);
}
