namespace CudaTrainer.Kernels.Tests;

/// <summary>Comparison of single-precision results with double-precision ones.</summary>
internal static class Agreement
{
    public const double Forward = 1e-5;
    public const double Backward = 1e-4;

    /// <summary>
    /// ‖actual − expected‖ ≤ tolerance·‖expected‖, and each element within the element tolerance (the same unless given) times its own size
    /// plus the root mean square of all.
    /// </summary>
    public static void ShouldAgreeWith(
        this IReadOnlyList<float> actual, IReadOnlyList<double> expected, double tolerance, string what, double? elementTolerance = null)
    {
        actual.Count.ShouldBe(expected.Count, what);
        double squares = 0;
        double errors = 0;
        for (int i = 0; i < expected.Count; i++)
        {
            squares += expected[i] * expected[i];
            errors += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        }

        if (!(Math.Sqrt(errors) <= tolerance * Math.Sqrt(squares)))
        {
            Assert.Fail($"{what}: relative error {Math.Sqrt(errors / squares):g3} is above {tolerance:g3}");
        }

        double floor = Math.Sqrt(squares / Math.Max(1, expected.Count));
        for (int i = 0; i < expected.Count; i++)
        {
            if (!(Math.Abs(actual[i] - expected[i]) <= (elementTolerance ?? tolerance) * (Math.Abs(expected[i]) + floor)))
            {
                Assert.Fail($"{what}[{i}] is {actual[i]:r}, expected {expected[i]:r}");
            }
        }
    }

    /// <summary>Bit for bit, NaN included.</summary>
    public static void ShouldBeTheSameBitsAs(this IReadOnlyList<float> actual, IReadOnlyList<float> expected, string what)
    {
        actual.Count.ShouldBe(expected.Count, what);
        for (int i = 0; i < expected.Count; i++)
        {
            if (BitConverter.SingleToInt32Bits(actual[i]) != BitConverter.SingleToInt32Bits(expected[i]))
            {
                Assert.Fail($"{what}[{i}] is {actual[i]:r}, not {expected[i]:r}");
            }
        }
    }

    /// <summary>
    /// Proves the gradients of a double-precision function by central differences: ≤ 1e-6 of the gradient's root mean square, element by
    /// element.
    /// </summary>
    /// <param name="function">A scalar function of several vectors.</param>
    /// <param name="inputs">Where.</param>
    /// <param name="gradients">The claimed gradient by each input.</param>
    public static void GradientsShouldBeRight(Func<double[][], double> function, double[][] inputs, double[][] gradients)
    {
        const double Step = 1e-5;
        gradients.Length.ShouldBe(inputs.Length);
        for (int input = 0; input < inputs.Length; input++)
        {
            double[] x = inputs[input];
            double size = Math.Sqrt(gradients[input].Average(g => g * g));
            for (int i = 0; i < x.Length; i++)
            {
                double saved = x[i];
                x[i] = saved + Step;
                double above = function(inputs);
                x[i] = saved - Step;
                double below = function(inputs);
                x[i] = saved;
                double numeric = (above - below) / (2 * Step);
                double error = Math.Abs(numeric - gradients[input][i]);
                if (!(error <= 1e-6 * (Math.Abs(numeric) + size)))
                {
                    Assert.Fail($"gradient {input}[{i}] is {gradients[input][i]:r}, by finite differences {numeric:r}");
                }
            }
        }
    }

    public static double Dot(IReadOnlyList<double> a, IReadOnlyList<double> b) => a.Zip(b, (x, y) => x * y).Sum();
}
