using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends.Reference;

public sealed partial class ReferenceOps
{
    public void Gemm(Tensor a, bool transposeA, Tensor b, bool transposeB, Tensor c, Tensor? bias, bool accumulate)
    {
        double[] x = Load(a), w = Load(b), y = Load(c);
        double[]? offset = bias is null ? null : Load(bias);
        int m = c.Shape.Rows, n = c.Shape[-1], k = transposeA ? a.Shape.Rows : a.Shape[-1];
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = (accumulate ? y[(i * n) + j] : 0) + (offset?[j] ?? 0);
                for (int l = 0; l < k; l++)
                {
                    sum += x[transposeA ? (l * m) + i : (i * k) + l] * w[transposeB ? (j * k) + l : (l * n) + j];
                }

                y[(i * n) + j] = sum;
            }
        }

        Store(c, y);
    }

    public void AddColumnSums(Tensor x, Tensor sums)
    {
        double[] values = Load(x), total = Load(sums);
        for (int i = 0; i < values.Length; i++)
        {
            total[i % total.Length] += values[i];
        }

        Store(sums, total);
    }

    public void Accumulate(Tensor x, Tensor y) => Add(y, Load(x));

    public void Cast(Tensor x, Tensor y) => Store(y, Load(x));

    public void CopyRows(Tensor source, long sourceOffset, int sourceStride, Tensor destination, long destinationOffset, int destinationStride, int rows, int columns, bool accumulate)
    {
        double[] from = Load(source), to = Load(destination);
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                ref double target = ref to[destinationOffset + ((long)i * destinationStride) + j];
                target = from[sourceOffset + ((long)i * sourceStride) + j] + (accumulate ? target : 0);
            }
        }

        Store(destination, to);
    }

    public void ActivationDropoutForward(Tensor x, Tensor y, bool relu, in LayerDropout dropout)
    {
        double[] values = Load(x);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (relu ? Math.Max(values[i], 0) : values[i]) * DropoutFactor(dropout, i);
        }

        Store(y, values);
    }

    public void ActivationDropoutBackward(Tensor dy, Tensor x, Tensor dx, bool relu, in LayerDropout dropout)
    {
        double[] gradient = Load(dy), values = Load(x);
        for (int i = 0; i < values.Length; i++)
        {
            gradient[i] *= (relu && values[i] <= 0 ? 0 : 1) * DropoutFactor(dropout, i);
        }

        Store(dx, gradient);
    }
}
