namespace CudaTrainer.Kernels.Formulas;

/// <summary>Double precision by the class library: what the others are checked against.</summary>
internal readonly struct DoubleMath : IRealMath<double>
{
    public static double Set(float value) => value;

    public static double Add(double a, double b) => a + b;

    public static double Subtract(double a, double b) => a - b;

    public static double Negate(double a) => -a;

    public static double Multiply(double a, double b) => a * b;

    public static double Divide(double a, double b) => a / b;

    public static double SelectGreater(double a, double b, double whenGreater, double otherwise) => a > b ? whenGreater : otherwise;

    public static double Max(double a, double b) => a > b ? a : b;

    public static double Min(double a, double b) => a < b ? a : b;

    public static double Relu(double x) => Math.Max(0, x);

    public static double Abs(double x) => Math.Abs(x);

    public static double Sqrt(double x) => Math.Sqrt(x);

    public static double ReciprocalSqrt(double x) => 1 / Math.Sqrt(x);

    public static double Exp(double x) => Math.Exp(x);

    public static double Log(double x) => Math.Log(x);

    public static double Tanh(double x) => Math.Tanh(x);

    public static double Sigmoid(double x) => x > 0 ? 1 / (1 + Math.Exp(-x)) : 1 - (1 / (1 + Math.Exp(x)));

    public static double Pow(double x, double y) => Math.Pow(x, y);

    /// <summary>W. Kahan's: the error of the sum cancels in the quotient.</summary>
    public static double Log1p(double x)
    {
        double sum = 1 + x;
        return sum == 1 ? x : double.IsInfinity(sum) ? sum : Math.Log(sum) * (x / (sum - 1));
    }

    /// <summary>
    /// Below 3 the series e^(−x²)·Σ 2ⁿx²ⁿ⁺¹/(2n+1)!!, whose terms have one sign; beyond it the continued fraction of erfc
    /// (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.6 and 7.1.14).
    /// </summary>
    public static double Erf(double x)
    {
        double t = Math.Abs(x), result;
        if (t < 3)
        {
            double term = t, sum = t;
            for (int n = 1; term > sum * 1e-17; n++)
            {
                term *= 2 * t * t / ((2 * n) + 1);
                sum += term;
            }

            result = 2 / Math.Sqrt(Math.PI) * Math.Exp(-t * t) * sum;
        }
        else
        {
            double fraction = t;
            for (int n = 60; n > 0; n--)
            {
                fraction = t + (n / 2.0 / fraction);
            }

            result = 1 - (Math.Exp(-t * t) / Math.Sqrt(Math.PI) / fraction);
        }

        return double.IsNaN(x) ? double.NaN : Math.CopySign(double.IsInfinity(t) ? 1 : result, x);
    }
}
