namespace CudaTrainer.Kernels.Tests;

/// <summary>Gradients of a recurrent layer; the LSTM has no second bias.</summary>
internal sealed record RecurrentGradients(double[] X, double[] InputWeights, double[] HiddenWeights, double[] Bias, double[] HiddenBias);

/// <summary>Plain-loop double-precision LSTM and GRU, one sequence and step after the other, with the gradients written out.</summary>
internal sealed record RecurrentReference(int Batch, int Time, int Inputs, int Hidden, bool Reverse)
{
    private int TimeOf(int step) => Reverse ? Time - 1 - step : step;

    /// <returns>y [B, T, H].</returns>
    public double[] Lstm(double[] x, double[] wi, double[] wh, double[] bias) => RunLstm(x, wi, wh, bias, null).Y;

    public RecurrentGradients LstmGradients(double[] x, double[] wi, double[] wh, double[] bias, double[] dy) =>
        RunLstm(x, wi, wh, bias, dy).Gradients!;

    /// <returns>y [B, T, H].</returns>
    public double[] Gru(double[] x, double[] wi, double[] wh, double[] bias, double[] hiddenBias) => RunGru(x, wi, wh, bias, hiddenBias, null).Y;

    public RecurrentGradients GruGradients(double[] x, double[] wi, double[] wh, double[] bias, double[] hiddenBias, double[] dy) =>
        RunGru(x, wi, wh, bias, hiddenBias, dy).Gradients!;

    private (double[] Y, RecurrentGradients? Gradients) RunLstm(double[] x, double[] wi, double[] wh, double[] bias, double[]? dy)
    {
        double[] y = new double[Batch * Time * Hidden];
        var gradients = new RecurrentGradients(new double[x.Length], new double[wi.Length], new double[wh.Length], new double[bias.Length], []);
        for (int b = 0; b < Batch; b++)
        {
            // Index 0 is the state before the first step.
            double[][] h = Vectors(Time + 1), c = Vectors(Time + 1);
            var gates = new double[Time][];
            for (int s = 0; s < Time; s++)
            {
                double[] a = Affine(wi, Row(x, b, s, Inputs), bias);
                double[] r = Affine(wh, h[s], new double[4 * Hidden]);
                gates[s] = [.. a.Zip(r, (p, q) => p + q).Select((z, j) => j / Hidden == 2 ? Math.Tanh(z) : Sigmoid(z))];
                for (int j = 0; j < Hidden; j++)
                {
                    (double i, double f, double g, double o) = Four(gates[s], j);
                    c[s + 1][j] = (f * c[s][j]) + (i * g);
                    h[s + 1][j] = o * Math.Tanh(c[s + 1][j]);
                }

                h[s + 1].CopyTo(y, ((b * Time) + TimeOf(s)) * Hidden);
            }

            if (dy is null)
            {
                continue;
            }

            double[] dh = new double[Hidden], dc = new double[Hidden];
            for (int s = Time - 1; s >= 0; s--)
            {
                double[] upstream = Row(dy, b, s, Hidden);
                double[] dz = new double[4 * Hidden];
                for (int j = 0; j < Hidden; j++)
                {
                    (double i, double f, double g, double o) = Four(gates[s], j);
                    double squashed = Math.Tanh(c[s + 1][j]);
                    double dhj = dh[j] + upstream[j];
                    dc[j] += dhj * o * (1 - (squashed * squashed));
                    dz[j] = dc[j] * g * i * (1 - i);
                    dz[Hidden + j] = dc[j] * c[s][j] * f * (1 - f);
                    dz[(2 * Hidden) + j] = dc[j] * i * (1 - (g * g));
                    dz[(3 * Hidden) + j] = dhj * squashed * o * (1 - o);
                    dc[j] *= f;
                }

                dh = Transposed(wh, dz, Hidden);
                Transposed(wi, dz, Inputs).CopyTo(gradients.X, ((b * Time) + TimeOf(s)) * Inputs);
                AddOuter(gradients.InputWeights, dz, Row(x, b, s, Inputs));
                AddOuter(gradients.HiddenWeights, dz, h[s]);
                AddOuter(gradients.Bias, dz, [1]);
            }
        }

        return (y, dy is null ? null : gradients);
    }

    private (double[] Y, RecurrentGradients? Gradients) RunGru(
        double[] x, double[] wi, double[] wh, double[] bias, double[] hiddenBias, double[]? dy)
    {
        double[] y = new double[Batch * Time * Hidden];
        var gradients = new RecurrentGradients(
            new double[x.Length], new double[wi.Length], new double[wh.Length], new double[bias.Length], new double[bias.Length]);
        for (int b = 0; b < Batch; b++)
        {
            double[][] h = Vectors(Time + 1);
            var saved = new double[Time][];
            for (int s = 0; s < Time; s++)
            {
                double[] a = Affine(wi, Row(x, b, s, Inputs), bias);
                double[] u = Affine(wh, h[s], hiddenBias);
                saved[s] = new double[4 * Hidden];
                for (int j = 0; j < Hidden; j++)
                {
                    double r = Sigmoid(a[j] + u[j]);
                    double z = Sigmoid(a[Hidden + j] + u[Hidden + j]);
                    double recurrent = u[(2 * Hidden) + j];
                    double n = Math.Tanh(a[(2 * Hidden) + j] + (r * recurrent));
                    h[s + 1][j] = ((1 - z) * n) + (z * h[s][j]);
                    (saved[s][j], saved[s][Hidden + j], saved[s][(2 * Hidden) + j], saved[s][(3 * Hidden) + j]) = (r, z, n, recurrent);
                }

                h[s + 1].CopyTo(y, ((b * Time) + TimeOf(s)) * Hidden);
            }

            if (dy is null)
            {
                continue;
            }

            double[] dh = new double[Hidden];
            for (int s = Time - 1; s >= 0; s--)
            {
                double[] upstream = Row(dy, b, s, Hidden);
                double[] dInput = new double[3 * Hidden], dRecurrent = new double[3 * Hidden];
                for (int j = 0; j < Hidden; j++)
                {
                    (double r, double z, double n, double recurrent) = Four(saved[s], j);
                    dh[j] += upstream[j];
                    double dn = dh[j] * (1 - z) * (1 - (n * n));
                    dInput[j] = dRecurrent[j] = dn * recurrent * r * (1 - r);
                    dInput[Hidden + j] = dRecurrent[Hidden + j] = dh[j] * (h[s][j] - n) * z * (1 - z);
                    dInput[(2 * Hidden) + j] = dn;
                    dRecurrent[(2 * Hidden) + j] = dn * r;
                    dh[j] *= z;
                }

                dh = [.. dh.Zip(Transposed(wh, dRecurrent, Hidden), (p, q) => p + q)];
                Transposed(wi, dInput, Inputs).CopyTo(gradients.X, ((b * Time) + TimeOf(s)) * Inputs);
                AddOuter(gradients.InputWeights, dInput, Row(x, b, s, Inputs));
                AddOuter(gradients.HiddenWeights, dRecurrent, h[s]);
                AddOuter(gradients.Bias, dInput, [1]);
                AddOuter(gradients.HiddenBias, dRecurrent, [1]);
            }
        }

        return (y, dy is null ? null : gradients);
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private (double, double, double, double) Four(double[] blocks, int j) =>
        (blocks[j], blocks[Hidden + j], blocks[(2 * Hidden) + j], blocks[(3 * Hidden) + j]);

    private double[][] Vectors(int count) => [.. Enumerable.Range(0, count).Select(_ => new double[Hidden])];

    private double[] Row(double[] matrix, int b, int step, int columns)
    {
        int row = (b * Time) + TimeOf(step);
        return matrix[(row * columns)..((row + 1) * columns)];
    }

    private static double[] Affine(double[] weights, double[] x, double[] bias) =>
        [.. bias.Select((offset, row) =>
        {
            for (int i = 0; i < x.Length; i++)
            {
                offset += weights[(row * x.Length) + i] * x[i];
            }

            return offset;
        })];

    private static double[] Transposed(double[] weights, double[] dz, int columns)
    {
        double[] result = new double[columns];
        for (int row = 0; row < dz.Length; row++)
        {
            for (int i = 0; i < columns; i++)
            {
                result[i] += weights[(row * columns) + i] * dz[row];
            }
        }

        return result;
    }

    private static void AddOuter(double[] matrix, double[] dz, double[] x)
    {
        for (int row = 0; row < dz.Length; row++)
        {
            for (int i = 0; i < x.Length; i++)
            {
                matrix[(row * x.Length) + i] += dz[row] * x[i];
            }
        }
    }
}
