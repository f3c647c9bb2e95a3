using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends.Reference;

public sealed unsafe partial class ReferenceOps
{
    // The reserve holds, as doubles, the four activated gates [batch, time, 4·hidden] and the cells [batch, time, hidden].
    public long LstmReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => 8L * 5 * y.Count;

    public void LstmForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        double[] input = Load(x), wi = Load(weightInput), wh = Load(weightHidden), b = Load(bias), output = new double[y.Count];
        double* gates = (double*)reserve.Data;
        double* cells = gates + ((long)batch * time * 4 * hidden);
        double[] z = new double[4 * hidden];
        for (int n = 0; n < batch; n++)
        {
            double[] h = new double[hidden], c = new double[hidden];
            for (int step = 0; step < time; step++)
            {
                int row = (n * time) + (options.Reverse ? time - 1 - step : step);
                Project(z, b, wi, input.AsSpan(row * inputs, inputs));
                Project(z, z, wh, h);
                for (int j = 0; j < hidden; j++)
                {
                    double i = Sigmoid(z[j]), f = Sigmoid(z[hidden + j]), g = Math.Tanh(z[(2 * hidden) + j]), o = Sigmoid(z[(3 * hidden) + j]);
                    c[j] = (f * c[j]) + (i * g);
                    h[j] = o * Math.Tanh(c[j]);
                    long at = ((long)row * 4 * hidden) + j;
                    (gates[at], gates[at + hidden], gates[at + (2 * hidden)], gates[at + (3 * hidden)]) = (i, f, g, o);
                    cells[((long)row * hidden) + j] = c[j];
                    output[(row * hidden) + j] = h[j];
                }
            }
        }

        Store(y, output);
    }

    public void LstmBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBias, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        double[] input = Load(x), wi = Load(weightInput), wh = Load(weightHidden), output = Load(y), upstream = Load(dy);
        double[] dInput = new double[input.Length], dwi = new double[wi.Length], dwh = new double[wh.Length], db = new double[4 * hidden];
        double* gates = (double*)reserve.Data;
        double* cells = gates + ((long)batch * time * 4 * hidden);
        double[] dz = new double[4 * hidden];
        for (int n = 0; n < batch; n++)
        {
            double[] dh = new double[hidden], dc = new double[hidden];
            for (int step = time - 1; step >= 0; step--)
            {
                int row = (n * time) + (options.Reverse ? time - 1 - step : step);
                int before = step == 0 ? -1 : (n * time) + (options.Reverse ? time - step : step - 1);
                for (int j = 0; j < hidden; j++)
                {
                    long at = ((long)row * 4 * hidden) + j;
                    double i = gates[at], f = gates[at + hidden], g = gates[at + (2 * hidden)], o = gates[at + (3 * hidden)];
                    double tanhCell = Math.Tanh(cells[((long)row * hidden) + j]);
                    double cellBefore = before < 0 ? 0 : cells[((long)before * hidden) + j];
                    double dhj = dh[j] + upstream[(row * hidden) + j];
                    double dcj = dc[j] + (dhj * o * (1 - (tanhCell * tanhCell)));
                    dz[j] = dcj * g * i * (1 - i);
                    dz[hidden + j] = dcj * cellBefore * f * (1 - f);
                    dz[(2 * hidden) + j] = dcj * i * (1 - (g * g));
                    dz[(3 * hidden) + j] = dhj * tanhCell * o * (1 - o);
                    dc[j] = dcj * f;
                }

                BackProject(dz, wi, input.AsSpan(row * inputs, inputs), dInput.AsSpan(row * inputs, inputs), dwi);
                Array.Clear(dh);
                BackProject(dz, wh, before < 0 ? default : output.AsSpan(before * hidden, hidden), dh, dwh);
                for (int j = 0; j < dz.Length; j++)
                {
                    db[j] += dz[j];
                }
            }
        }

        if (dx is not null)
        {
            Store(dx, dInput);
        }

        Add(dWeightInput, dwi);
        Add(dWeightHidden, dwh);
        Add(dBias, db);
    }

    // The reserve holds, as doubles, r, z, n and the recurrent part of n, [batch, time, 4·hidden].
    public long GruReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => 8L * 4 * y.Count;

    public void GruForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        double[] input = Load(x), wi = Load(weightInput), wh = Load(weightHidden), bi = Load(biasInput), bh = Load(biasHidden), output = new double[y.Count];
        double* saved = (double*)reserve.Data;
        double[] fromInput = new double[3 * hidden], fromHidden = new double[3 * hidden];
        for (int n = 0; n < batch; n++)
        {
            double[] h = new double[hidden];
            for (int step = 0; step < time; step++)
            {
                int row = (n * time) + (options.Reverse ? time - 1 - step : step);
                Project(fromInput, bi, wi, input.AsSpan(row * inputs, inputs));
                Project(fromHidden, bh, wh, h);
                for (int j = 0; j < hidden; j++)
                {
                    double r = Sigmoid(fromInput[j] + fromHidden[j]);
                    double z = Sigmoid(fromInput[hidden + j] + fromHidden[hidden + j]);
                    double recurrent = fromHidden[(2 * hidden) + j];
                    double candidate = Math.Tanh(fromInput[(2 * hidden) + j] + (r * recurrent));
                    h[j] = ((1 - z) * candidate) + (z * h[j]);
                    long at = ((long)row * 4 * hidden) + j;
                    (saved[at], saved[at + hidden], saved[at + (2 * hidden)], saved[at + (3 * hidden)]) = (r, z, candidate, recurrent);
                    output[(row * hidden) + j] = h[j];
                }
            }
        }

        Store(y, output);
    }

    public void GruBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBiasInput, Tensor dBiasHidden, in RecurrentOptions options)
    {
        int batch = x.Shape[0], time = x.Shape[1], inputs = x.Shape[2], hidden = y.Shape[2];
        double[] input = Load(x), wi = Load(weightInput), wh = Load(weightHidden), output = Load(y), upstream = Load(dy);
        double[] dInput = new double[input.Length], dwi = new double[wi.Length], dwh = new double[wh.Length], dbi = new double[3 * hidden], dbh = new double[3 * hidden];
        double* saved = (double*)reserve.Data;
        double[] dFromInput = new double[3 * hidden], dFromHidden = new double[3 * hidden];
        for (int n = 0; n < batch; n++)
        {
            double[] dh = new double[hidden];
            for (int step = time - 1; step >= 0; step--)
            {
                int row = (n * time) + (options.Reverse ? time - 1 - step : step);
                int before = step == 0 ? -1 : (n * time) + (options.Reverse ? time - step : step - 1);
                double[] direct = new double[hidden];
                for (int j = 0; j < hidden; j++)
                {
                    long at = ((long)row * 4 * hidden) + j;
                    double r = saved[at], z = saved[at + hidden], candidate = saved[at + (2 * hidden)], recurrent = saved[at + (3 * hidden)];
                    double stateBefore = before < 0 ? 0 : output[(before * hidden) + j];
                    double dhj = dh[j] + upstream[(row * hidden) + j];
                    double dCandidate = dhj * (1 - z) * (1 - (candidate * candidate));
                    double dz = dhj * (stateBefore - candidate) * z * (1 - z);
                    double dr = dCandidate * recurrent * r * (1 - r);
                    (dFromInput[j], dFromInput[hidden + j], dFromInput[(2 * hidden) + j]) = (dr, dz, dCandidate);
                    (dFromHidden[j], dFromHidden[hidden + j], dFromHidden[(2 * hidden) + j]) = (dr, dz, dCandidate * r);
                    direct[j] = dhj * z;
                }

                BackProject(dFromInput, wi, input.AsSpan(row * inputs, inputs), dInput.AsSpan(row * inputs, inputs), dwi);
                Array.Clear(dh);
                BackProject(dFromHidden, wh, before < 0 ? default : output.AsSpan(before * hidden, hidden), dh, dwh);
                for (int j = 0; j < hidden; j++)
                {
                    dh[j] += direct[j];
                }

                for (int j = 0; j < 3 * hidden; j++)
                {
                    dbi[j] += dFromInput[j];
                    dbh[j] += dFromHidden[j];
                }
            }
        }

        if (dx is not null)
        {
            Store(dx, dInput);
        }

        Add(dWeightInput, dwi);
        Add(dWeightHidden, dwh);
        Add(dBiasInput, dbi);
        Add(dBiasHidden, dbh);
    }

    /// <summary>z = offset + W·x.</summary>
    private static void Project(double[] z, double[] offset, double[] weight, ReadOnlySpan<double> x)
    {
        for (int j = 0; j < z.Length; j++)
        {
            double sum = offset[j];
            for (int l = 0; l < x.Length; l++)
            {
                sum += weight[(j * x.Length) + l] * x[l];
            }

            z[j] = sum;
        }
    }

    /// <summary>dx += Wᵀ·dz and dW += dz·xᵀ; an empty x is a zero vector.</summary>
    private static void BackProject(double[] dz, double[] weight, ReadOnlySpan<double> x, Span<double> dx, double[] dWeight)
    {
        for (int j = 0; j < dz.Length; j++)
        {
            for (int l = 0; l < dx.Length; l++)
            {
                dx[l] += weight[(j * dx.Length) + l] * dz[j];
                dWeight[(j * dx.Length) + l] += x.IsEmpty ? 0 : dz[j] * x[l];
            }
        }
    }
}
