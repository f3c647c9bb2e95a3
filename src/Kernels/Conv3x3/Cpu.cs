using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// 3×3 convolution, stride 1, one pixel of zeros around, + bias, activation, and optionally 2×2 max-pooling, on the layouts of
/// <see cref="ConvLayout"/>. Inference only.
/// </summary>
/// <remarks>
/// Images go through <see cref="Conv3x3Image"/>, everything else through <see cref="Conv3x3Winograd"/>. The result for an image depends
/// neither on the other images of the batch nor on the number of threads.
/// </remarks>
internal static unsafe class Conv3x3
{
    /// <summary>Floats of prepared weights.</summary>
    public static nint WeightElementCount(SimdLevel level, int outChannels, int inChannels)
    {
        int padded = PaddedChannels(outChannels, GemmMicroKernel.Columns(level));
        int window = inChannels == ConvLayout.ImageChannels ? 9 : WinogradTransform.Points;
        return (nint)window * inChannels * padded;
    }

    /// <summary>Brings weights into the form in which <see cref="Run"/> reads them at the team's SIMD level.</summary>
    /// <param name="team">Divides the output channels; teams that use the result must have its level.</param>
    /// <param name="outChannels">Filters.</param>
    /// <param name="inChannels">Channels of the input.</param>
    /// <param name="weights">[outChannels, inChannels, 3, 3].</param>
    /// <param name="prepared"><see cref="WeightElementCount"/> floats.</param>
    public static void Prepare(ThreadTeam team, int outChannels, int inChannels, float* weights, float* prepared)
    {
        if (inChannels == ConvLayout.ImageChannels)
        {
            Conv3x3Image.Prepare(team, outChannels, weights, prepared);
        }
        else
        {
            Conv3x3Winograd.Prepare(team, outChannels, inChannels, weights, prepared);
        }
    }

    /// <param name="team">Divides the output pixels of all images.</param>
    /// <param name="inChannels">Channels of the input; 3 means the image layout.</param>
    /// <param name="height">Rows of input and convolution output.</param>
    /// <param name="width">Columns of input and convolution output.</param>
    /// <param name="outChannels">Channels of the output, not 3.</param>
    /// <param name="input">[images, inChannels, height, width]; must not overlap the output.</param>
    /// <param name="prepared">From <see cref="Prepare"/>.</param>
    /// <param name="bias">[outChannels].</param>
    /// <param name="output">[images, outChannels, height, width], or [.., height/2, width/2] after pooling.</param>
    /// <param name="activation">Applied after the bias.</param>
    /// <param name="maxPool">Whether to store the maxima of 2×2 squares only; an odd last row or column is dropped.</param>
    public static void Run(
        ThreadTeam team, int images, int inChannels, int height, int width, int outChannels, float* input, float* prepared, float* bias,
        float* output,
        Activation activation = Activation.Relu, bool maxPool = false)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(outChannels, ConvLayout.ImageChannels);
        var problem = new ConvProblem
        {
            Images = images,
            InChannels = inChannels,
            OutChannels = outChannels,
            Height = height,
            Width = width,
            Input = input,
            Weights = prepared,
            Bias = bias,
            Output = output,
            Relu = activation == Activation.Relu,
            MaxPool = maxPool,
        };
        if (inChannels == ConvLayout.ImageChannels)
        {
            Conv3x3Image.Run(team, in problem);
        }
        else
        {
            Conv3x3Winograd.Run(team, in problem);
        }
    }

    /// <summary>Filters rounded up to whole panels of <paramref name="columns"/> and to whole channel blocks.</summary>
    internal static int PaddedChannels(int outChannels, int columns) =>
        GemmPacking.RoundUp(outChannels, Math.Max(columns, ConvLayout.ChannelBlock));
}

/// <summary>The arguments of <see cref="Conv3x3.Run"/>.</summary>
internal unsafe struct ConvProblem
{
    public int Images;
    public int InChannels;
    public int OutChannels;
    public int Height;
    public int Width;
    public float* Input;
    public float* Weights;
    public float* Bias;
    public float* Output;
    public bool Relu;
    public bool MaxPool;

    public readonly int OutHeight => MaxPool ? Height / 2 : Height;

    public readonly int OutWidth => MaxPool ? Width / 2 : Width;
}
