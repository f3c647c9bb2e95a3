using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Nn;

/// <summary>Fills a parameter's first values on the host, from a seed alone, so that every device starts from the same bits.</summary>
/// <param name="shape">The parameter's shape.</param>
/// <param name="seed">Differs for each parameter.</param>
public delegate float[] Initializer(Shape shape, ulong seed);

/// <summary>The initial values that Keras's layers use, for weights stored as [out, in].</summary>
public static class Initializers
{
    public static Initializer Zeros { get; } = (shape, _) => new float[shape.Count];

    public static Initializer Ones { get; } = (shape, _) => Filled(shape, 1);

    /// <summary>Uniform in ±√(6 / (in + out)) (Glorot and Bengio 2010).</summary>
    public static Initializer GlorotUniform { get; } = (shape, seed) =>
    {
        double limit = Math.Sqrt(6.0 / (shape[0] + shape[1]));
        float[] values = new float[shape.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)(((2 * (double)Philox.Uniform(seed, 0, i)) - 1) * limit);
        }

        return values;
    };

    /// <summary>
    /// A [gates·hidden, hidden] matrix whose transpose has orthonormal rows (Saxe et al. 2014), by Gram-Schmidt on normal numbers, twice
    /// for accuracy.
    /// </summary>
    public static Initializer Orthogonal { get; } = (shape, seed) =>
    {
        int tall = shape[0], columns = shape[1];
        double[][] basis = new double[columns][];
        for (int c = 0; c < columns; c++)
        {
            double[] column = new double[tall];
            for (int r = 0; r < tall; r++)
            {
                column[r] = Normal(seed, (ulong)(((long)c * tall) + r));
            }

            for (int pass = 0; pass < 2; pass++)
            {
                for (int other = 0; other < c; other++)
                {
                    double dot = Dot(column, basis[other]);
                    for (int r = 0; r < tall; r++)
                    {
                        column[r] -= dot * basis[other][r];
                    }
                }
            }

            double norm = Math.Sqrt(Dot(column, column));
            basis[c] = [.. column.Select(value => value / norm)];
        }

        float[] values = new float[shape.Count];
        for (int r = 0; r < tall; r++)
        {
            for (int c = 0; c < columns; c++)
            {
                values[(r * columns) + c] = (float)basis[c][r];
            }
        }

        return values;
    };

    /// <summary>LSTM bias [4·hidden]: 0, and 1 for the forget gate (Jozefowicz et al. 2015), gate order i, f, g, o.</summary>
    public static Initializer ForgetGateOne { get; } = (shape, _) =>
    {
        float[] values = new float[shape.Count];
        int hidden = values.Length / 4;
        values.AsSpan(hidden, hidden).Fill(1);
        return values;
    };

    /// <summary>A standard normal number by Box and Muller.</summary>
    internal static double Normal(ulong seed, ulong index)
    {
        (uint x0, uint x1, _, _) = Philox.Block(index, 1, seed);
        return Math.Sqrt(-2 * Math.Log((x0 + 1.0) / 4294967296.0)) * Math.Cos(2 * Math.PI * x1 / 4294967296.0);
    }

    private static float[] Filled(Shape shape, float value)
    {
        float[] values = new float[shape.Count];
        Array.Fill(values, value);
        return values;
    }

    private static double Dot(double[] a, double[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }

        return sum;
    }
}
