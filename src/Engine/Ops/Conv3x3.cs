using System.Runtime.InteropServices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>
    /// Weights for <see cref="Conv3x3BiasRelu"/>.
    /// </summary>
    /// <param name="weight">[out, in, 3, 3].</param>
    /// <param name="bias">[out].</param>
    PreparedWeights PrepareConv3x3(Tensor weight, Tensor bias);

    /// <summary>y = relu(conv3×3(x) + b), padding 1, then 2×2 max pooling where asked.</summary>
    /// <param name="x">Opaque activation of <paramref name="shape"/>.</param>
    /// <param name="y">Opaque activation with the filters as channels, half as high and wide when pooled.</param>
    /// <param name="shape">[images, channels, height, width] of x.</param>
    void Conv3x3BiasRelu(Tensor x, Tensor y, Shape shape, PreparedWeights weights, bool pool);
}

internal sealed unsafe partial class CpuOps
{
    public PreparedWeights PrepareConv3x3(Tensor weight, Tensor bias)
    {
        int outputs = weight.Shape[0], inputs = weight.Shape[1];
        var prepared = new ConvWeights(Cpu.Conv3x3.WeightElementCount(team.Level, outputs, inputs), bias.Read<float>());
        Cpu.Conv3x3.Prepare(team, outputs, inputs, Floats(weight), prepared.Filters);
        return prepared;
    }

    public void Conv3x3BiasRelu(Tensor x, Tensor y, Shape shape, PreparedWeights weights, bool pool)
    {
        var w = (ConvWeights)weights;
        fixed (float* bias = w.Bias)
        {
            Cpu.Conv3x3.Run(
                team, shape[0], shape[1], shape[2], shape[3], w.Bias.Length, Floats(x), w.Filters, bias, Floats(y), Cpu.Activation.Relu,
                pool);
        }
    }

    private sealed class ConvWeights(nint count, float[] bias) : PreparedWeights
    {
        public float* Filters { get; private set; } = (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), 64);

        public float[] Bias { get; } = bias;

        public override void Dispose()
        {
            NativeMemory.AlignedFree(Filters);
            Filters = null;
        }
    }
}

internal sealed partial class CudaOps
{
    /// <summary>The most scratch memory that a convolution algorithm may ask for.</summary>
    private const long ConvScratchLimit = 256L << 20;

    private readonly Dictionary<(int Images, int Channels, int Size), CudnnPooling> _poolings = [];

    private Gpu.PackFilters PackFilterKernels => field ??= new Gpu.PackFilters(_kernels);

    public PreparedWeights PrepareConv3x3(Tensor weight, Tensor bias)
    {
        Cudnn("VGG19");
        int filters = weight.Shape[0], channels = weight.Shape[1], padded = Padded(channels);
        DeviceBuffer packed = _device.Allocate((long)filters * 9 * padded * BackboneType.Size(), "convolution filters");
        PackFilterKernels.Run(_stream, filters, channels, padded, weight.Data, packed.Pointer, ConvType);
        return new ConvWeights(_device, packed, Converted(bias, "convolution bias"), filters, padded);
    }

    public void Conv3x3BiasRelu(Tensor x, Tensor y, Shape shape, PreparedWeights weights, bool pool)
    {
        var w = (ConvWeights)weights;
        int images = shape[0], height = shape[2], width = shape[3];
        CudnnConvolution convolution = w.For(Cudnn("VGG19"), images, height, width, ConvType, ConvScratchLimit);
        nint scratch = _workspace.Take(CudaWorkspace.Use.ConvScratch, convolution.WorkspaceBytes);
        nint output = pool ? _workspace.Take(CudaWorkspace.Use.ConvOutput, ConvBytes(images, w.Filters, height, width)) : y.Data;
        convolution.Run(x.Data, w.Packed.Pointer, w.Bias.Pointer, output, scratch);
        if (pool)
        {
            PoolingOf(images, w.Filters, height, width).Run(output, y.Data);
        }
    }

    private void DisposeConvolutions()
    {
        foreach (CudnnPooling pooling in _poolings.Values)
        {
            pooling.Dispose();
        }
    }

    private CudnnPooling PoolingOf(int images, int channels, int height, int width)
    {
        (int images, int channels, int height) key = (images, channels, height);
        if (!_poolings.TryGetValue(key, out CudnnPooling? pooling))
        {
            _poolings[key] = pooling = new CudnnPooling(Cudnn("VGG19"), images, channels, height, width, ConvType);
        }

        return pooling;
    }

    private sealed class ConvWeights(IDevice device, DeviceBuffer packed, DeviceBuffer bias, int filters, int channels) : PreparedWeights
    {
        private readonly Dictionary<(int Images, int Height), CudnnConvolution> _bySize = [];

        /// <summary>[Filters, 3, 3, channels].</summary>
        public DeviceBuffer Packed { get; } = packed;

        /// <summary>[Filters], of the same type.</summary>
        public DeviceBuffer Bias { get; } = bias;

        public int Filters { get; } = filters;

        public CudnnConvolution For(CudnnHandle cudnn, int images, int height, int width, CudaType type, long scratchLimit)
        {
            if (!_bySize.TryGetValue((images, height), out CudnnConvolution? convolution))
            {
                _bySize[(images, height)] = convolution = new CudnnConvolution(
                    cudnn, images, channels, height, width, Filters, type, scratchLimit);
            }

            return convolution;
        }

        public override void Dispose()
        {
            foreach (CudnnConvolution convolution in _bySize.Values)
            {
                convolution.Dispose();
            }

            device.Free(Packed);
            device.Free(Bias);
        }
    }
}

internal sealed unsafe partial class ReferenceOps
{
    public PreparedWeights PrepareConv3x3(Tensor weight, Tensor bias) => new Weights(Load(weight), Load(bias), weight.Shape[1]);

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
                        AddShifted(
                            map, source + ((((long)n * inputs) + i) * height * width), height, width, (tap / 3) - 1, (tap % 3) - 1,
                            w.Values[(((o * inputs) + i) * 9) + tap]);
                    }
                }

                StoreMap(map, height, width, target, ((long)n * outputs) + o, pool);
            }
        }
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
}
