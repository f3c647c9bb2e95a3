using CudaTrainer.Kernels.Device;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>What the kernels of <see cref="BatchNorm"/> take; each reads what its pass needs, and the rest stays empty.</summary>
internal struct BatchNormArguments
{
    public GpuArray X;

    /// <summary>y or dx.</summary>
    public GpuArray Output;

    public GpuArray Dy;
    public GpuArray<float> Gamma;
    public GpuArray<float> Beta;
    public GpuArray<float> Mean;
    public GpuArray<float> Inverse;
    public GpuArray<float> RunningMean;
    public GpuArray<float> RunningVariance;
    public GpuArray<float> DScale;
    public GpuArray<float> DShift;

    /// <summary>What replicas exchange: a part to write or all parts to read.</summary>
    public GpuArray<float> Part;

    public GpuDropout Dropout;
    public int Rows;
    public int Channels;
    public int Parts;
    public int Relu;
    public float PerRow;
    public float Momentum;
    public float Epsilon;

    /// <summary>Whether the groups of X, Output and Dy begin on 16 bytes.</summary>
    public int Aligned;

    /// <summary>Whether the arrays of [channels] floats do.</summary>
    public int FloatsAligned;

    /// <summary>Whether both halves of a part to write do.</summary>
    public int PartAligned;

    /// <param name="aligned">For all matrices of the pass.</param>
    /// <param name="x">[rows, channels]; 0 for none, here as for all arrays.</param>
    /// <param name="output">[rows, channels].</param>
    public static BatchNormArguments Of(int rows, int channels, int aligned, nint x, nint output)
    {
        long count = (long)rows * channels;
        return new BatchNormArguments
        {
            X = new(x, x == 0 ? 0 : count),
            Output = new(output, output == 0 ? 0 : count),
            Rows = rows,
            Channels = channels,
            PerRow = 1f / rows,
            Aligned = aligned,
            FloatsAligned = 1,
        };
    }

    public void SetAffine(nint gamma, nint beta, nint mean, nint inverse)
    {
        Gamma = Floats(gamma);
        Beta = Floats(beta);
        Mean = Floats(mean);
        Inverse = Floats(inverse);
    }

    public void SetRunning(nint mean, nint variance, float momentum, float epsilon)
    {
        RunningMean = Floats(mean);
        RunningVariance = Floats(variance);
        Momentum = momentum;
        Epsilon = epsilon;
    }

    public void SetGradients(nint dy, nint dScale, nint dShift)
    {
        Dy = new(dy, (long)Rows * Channels);
        DScale = Floats(dScale);
        DShift = Floats(dShift);
    }

    public void SetParts(nint part, int parts)
    {
        Part = new(part, (long)parts * ((2 * Channels) + 1));
        Parts = parts;
        PartAligned = Channels % 4 == 0 ? LaunchSize.Aligned(part) : 0;
    }

    public void SetBehind(bool relu, in GpuDropout dropout)
    {
        Relu = relu ? 1 : 0;
        Dropout = dropout;
    }

    private GpuArray<float> Floats(nint address)
    {
        FloatsAligned &= LaunchSize.Aligned(address);
        return new(address, address == 0 ? 0 : Channels);
    }
}
