using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends.Reference;

public sealed unsafe partial class ReferenceOps
{
    public DType BackboneType => DType.Float32;

    // Activations between convolutions are plain [images, channels, height, width] in single precision.
    public long ConvBytes(int images, int channels, int height, int width) => 4L * images * channels * height * width;

    public PreparedWeights PrepareConv3x3(Tensor weight, Tensor bias) => new Weights(Load(weight), Load(bias), weight.Shape[1]);

    public PreparedWeights PrepareLinear(Tensor weight, Tensor bias) => new Weights(Load(weight), Load(bias), weight.Shape[1]);

    public void NormalizeImage(Tensor rgb, Tensor y, in ImageNormalization normalization)
    {
        int images = rgb.Shape[0], height = rgb.Shape[1], width = rgb.Shape[2];
        byte* source = (byte*)rgb.Data;
        float* target = (float*)y.Data;
        float[] mean = [normalization.MeanRed, normalization.MeanGreen, normalization.MeanBlue];
        float[] scale = [normalization.ScaleRed, normalization.ScaleGreen, normalization.ScaleBlue];
        for (long pixel = 0; pixel < (long)images * height * width; pixel++)
        {
            long image = pixel / (height * width), place = pixel % (height * width);
            for (int c = 0; c < 3; c++)
            {
                int channel = normalization.Bgr ? 2 - c : c;
                target[(((image * 3) + channel) * height * width) + place] = (float)((source[(pixel * 3) + c] - (double)mean[c]) * scale[c]);
            }
        }
    }

    public void Conv3x3BiasRelu(Tensor x, Tensor y, Shape shape, PreparedWeights weights, bool pool)
    {
        var w = (Weights)weights;
        int images = shape[0], inputs = shape[1], height = shape[2], width = shape[3], outputs = w.Bias.Length;
        float* source = (float*)x.Data;
        float* target = (float*)y.Data;
        double[] map = new double[height * width];
        for (int n = 0; n < images; n++)
        {
            for (int o = 0; o < outputs; o++)
            {
                Array.Fill(map, w.Bias[o]);
                for (int i = 0; i < inputs; i++)
                {
                    for (int tap = 0; tap < 9; tap++)
                    {
                        AddShifted(map, source + ((((long)n * inputs) + i) * height * width), height, width, (tap / 3) - 1, (tap % 3) - 1, w.Values[(((o * inputs) + i) * 9) + tap]);
                    }
                }

                StoreMap(map, height, width, target, ((long)n * outputs) + o, pool);
            }
        }
    }

    public void ConvFlatten(Tensor x, Tensor y, Shape shape) => Buffer.MemoryCopy((void*)x.Data, (void*)y.Data, y.Bytes, y.Bytes);

    public void LinearPreparedRelu(Tensor x, PreparedWeights weights, Tensor y)
    {
        var w = (Weights)weights;
        double[] input = Load(x), output = new double[y.Count];
        int outputs = w.Bias.Length;
        for (int row = 0; row < x.Shape[0]; row++)
        {
            for (int o = 0; o < outputs; o++)
            {
                double sum = w.Bias[o];
                for (int i = 0; i < w.Inputs; i++)
                {
                    sum += input[(row * w.Inputs) + i] * w.Values[((long)o * w.Inputs) + i];
                }

                output[(row * outputs) + o] = Math.Max(sum, 0);
            }
        }

        Store(y, output);
    }

    /// <summary>map[r, c] += weight · x[r + dr, c + dc], with zeros outside.</summary>
    private static void AddShifted(double[] map, float* x, int height, int width, int dr, int dc, double weight)
    {
        for (int r = Math.Max(0, -dr); r < height - Math.Max(0, dr); r++)
        {
            for (int c = Math.Max(0, -dc); c < width - Math.Max(0, dc); c++)
            {
                map[(r * width) + c] += weight * x[((r + dr) * width) + c + dc];
            }
        }
    }

    private static void StoreMap(double[] map, int height, int width, float* target, long plane, bool pool)
    {
        int step = pool ? 2 : 1, rows = height / step, columns = width / step;
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++)
            {
                double best = 0;
                for (int i = 0; i < step * step; i++)
                {
                    best = Math.Max(best, map[(((r * step) + (i / step)) * width) + (c * step) + (i % step)]);
                }

                target[(((plane * rows) + r) * columns) + c] = (float)best;
            }
        }
    }

    private sealed class Weights(double[] values, double[] bias, int inputs) : PreparedWeights
    {
        public double[] Values { get; } = values;

        public double[] Bias { get; } = bias;

        public int Inputs { get; } = inputs;

        public override void Dispose()
        {
        }
    }
}
