using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>cuDNN on one stream.</summary>
internal sealed unsafe class CudnnHandle : CudaOwned
{
    /// <exception cref="InvalidOperationException">There is no cuDNN.</exception>
    public CudnnHandle(CudaContext context, CudaStream stream)
        : base(context)
    {
        Stream = stream;
        Make(() =>
        {
            if (!Cuda.HasCudnn)
            {
                throw new InvalidOperationException($"cuDNN is not available: {Cuda.CudnnReason}");
            }

            nint handle;
            Check(CudnnApi.cudnnCreate(&handle), "cudnnCreate");
            Handle = handle;
            Check(CudnnApi.cudnnSetStream(handle, stream.Handle), "cudnnSetStream");
        });
    }

    internal nint Handle { get; private set; }

    internal CudaStream Stream { get; }

    internal static int TypeOf(CudaType type) => type == CudaType.Float32 ? CudnnApi.DataFloat : CudnnApi.DataHalf;

    /// <summary>Releases a descriptor that was made.</summary>
    internal static void Destroy(nint descriptor, delegate*<nint, int> function)
    {
        if (descriptor != 0)
        {
            _ = function(descriptor);
        }
    }

    internal void Check(int status, string call)
    {
        if (status != 0)
        {
            Throw(status, call);
        }
    }

    /// <summary>After a call that queues work.</summary>
    internal void Queued(int status, string call)
    {
        Context.Counters.LibraryCalls++;
        Check(status, call);
        Context.Launched(call, kernel: null);
    }

    private protected override void Release()
    {
        if (Handle != 0)
        {
            _ = CudnnApi.cudnnDestroy(Handle);
        }
    }

    // EXECUTION_FAILED is 8 in cuDNN 8, and 5000 to 5999 in cuDNN 9 with what failed in detail.
    private void Throw(int status, string call) => throw Context.LibraryFailed(
        call, status, "cuDNN", Marshal.PtrToStringUTF8((nint)CudnnApi.cudnnGetErrorString(status))
            ?? string.Empty, executionFailed: status is 8 or (>= 5000 and < 6000));
}

/// <summary>3×3 convolution with padding 1, bias and ReLU on NHWC activations of one size.</summary>
internal sealed unsafe class CudnnConvolution : CudaOwned
{
    /// <summary>cuDNN 8 and 9 know no more algorithms than these.</summary>
    private const int MaxAlgorithms = 8;

    private readonly CudnnHandle _cudnn;
    private int _algorithm;
    private nint _x;
    private nint _y;
    private nint _filter;
    private nint _bias;
    private nint _convolution;
    private nint _activation;

    /// <param name="cudnn">Runs the convolution on its stream.</param>
    /// <param name="images">n.</param>
    /// <param name="channels">c.</param>
    /// <param name="height">h.</param>
    /// <param name="width">w.</param>
    /// <param name="filters">k.</param>
    /// <param name="type">The type of activations, filters and bias; sums are in single precision.</param>
    /// <param name="workspaceLimit">The most scratch memory that an algorithm may take.</param>
    public CudnnConvolution(CudnnHandle cudnn, int images, int channels, int height, int width, int filters, CudaType type,
        long workspaceLimit)
        : base(cudnn.Context)
    {
        _cudnn = cudnn;
        Make(() => Describe(cudnn, images, channels, height, width, filters, type, workspaceLimit));
    }

    /// <summary>Scratch memory of <see cref="Run"/>.</summary>
    public long WorkspaceBytes { get; private set; }

    /// <param name="x">[n, h, w, c].</param>
    /// <param name="filters">[k, 3, 3, c].</param>
    /// <param name="bias">[k].</param>
    /// <param name="y">[n, h, w, k], overwritten.</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>.</param>
    public void Run(nint x, nint filters, nint bias, nint y, nint workspace)
    {
        float one = 1, zero = 0;
        Context.Use();

        // z takes part with the factor 0; it must be a tensor all the same, and y may be it.
        _cudnn.Queued(
            CudnnApi.cudnnConvolutionBiasActivationForward(
                _cudnn.Handle, &one, _x, x, _filter, filters, _convolution, _algorithm, workspace, (nuint)WorkspaceBytes, &zero, _y, y,
                _bias, bias, _activation, _y, y),
            "cudnnConvolutionBiasActivationForward");
    }

    private protected override void Release()
    {
        CudnnHandle.Destroy(_x, &CudnnApi.cudnnDestroyTensorDescriptor);
        CudnnHandle.Destroy(_y, &CudnnApi.cudnnDestroyTensorDescriptor);
        CudnnHandle.Destroy(_bias, &CudnnApi.cudnnDestroyTensorDescriptor);
        CudnnHandle.Destroy(_filter, &CudnnApi.cudnnDestroyFilterDescriptor);
        CudnnHandle.Destroy(_convolution, &CudnnApi.cudnnDestroyConvolutionDescriptor);
        CudnnHandle.Destroy(_activation, &CudnnApi.cudnnDestroyActivationDescriptor);
    }

    private void Describe(CudnnHandle cudnn, int images, int channels, int height, int width, int filters, CudaType type,
        long workspaceLimit)
    {
        int data = CudnnHandle.TypeOf(type);
        nint x, y, filter, bias, convolution, activation;
        cudnn.Check(CudnnApi.cudnnCreateTensorDescriptor(&x), "cudnnCreateTensorDescriptor");
        _x = x;
        cudnn.Check(CudnnApi.cudnnCreateTensorDescriptor(&y), "cudnnCreateTensorDescriptor");
        _y = y;
        cudnn.Check(CudnnApi.cudnnCreateTensorDescriptor(&bias), "cudnnCreateTensorDescriptor");
        _bias = bias;
        cudnn.Check(CudnnApi.cudnnCreateFilterDescriptor(&filter), "cudnnCreateFilterDescriptor");
        _filter = filter;
        cudnn.Check(CudnnApi.cudnnCreateConvolutionDescriptor(&convolution), "cudnnCreateConvolutionDescriptor");
        _convolution = convolution;
        cudnn.Check(CudnnApi.cudnnCreateActivationDescriptor(&activation), "cudnnCreateActivationDescriptor");
        _activation = activation;
        cudnn.Check(CudnnApi.cudnnSetTensor4dDescriptor(x, CudnnApi.FormatNhwc, data, images, channels, height, width),
            "cudnnSetTensor4dDescriptor");
        cudnn.Check(CudnnApi.cudnnSetTensor4dDescriptor(y, CudnnApi.FormatNhwc, data, images, filters, height, width),
            "cudnnSetTensor4dDescriptor");
        cudnn.Check(CudnnApi.cudnnSetTensor4dDescriptor(bias, CudnnApi.FormatNhwc, data, 1, filters, 1, 1), "cudnnSetTensor4dDescriptor");
        cudnn.Check(CudnnApi.cudnnSetFilter4dDescriptor(filter, data, CudnnApi.FormatNhwc, filters, channels, 3, 3),
            "cudnnSetFilter4dDescriptor");
        cudnn.Check(CudnnApi.cudnnSetConvolution2dDescriptor(convolution, 1, 1, 1, 1, 1, 1, CudnnApi.CrossCorrelation, CudnnApi.DataFloat),
            "cudnnSetConvolution2dDescriptor");
        cudnn.Check(CudnnApi.cudnnSetConvolutionMathType(convolution, type == CudaType.Float16 ? CudnnApi.MathTensorOp : CudnnApi.MathFma),
            "cudnnSetConvolutionMathType");
        cudnn.Check(CudnnApi.cudnnSetActivationDescriptor(activation, CudnnApi.ActivationRelu, CudnnApi.PropagateNan, 0),
            "cudnnSetActivationDescriptor");
        (_algorithm, WorkspaceBytes) = Choose(type, workspaceLimit);
    }

    /// <summary>
    /// The first of cuDNN's suggestions, which it gives best first, that works, fits the limit and, in half precision, uses tensor cores if
    /// any does.
    /// </summary>
    private (int Algorithm, long WorkspaceBytes) Choose(CudaType type, long limit)
    {
        CudnnAlgorithmResult* results = stackalloc CudnnAlgorithmResult[MaxAlgorithms];
        int count;
        _cudnn.Check(
            CudnnApi.cudnnGetConvolutionForwardAlgorithm_v7(_cudnn.Handle, _x, _filter, _convolution, _y, MaxAlgorithms, &count, results),
                "cudnnGetConvolutionForwardAlgorithm_v7");
        int chosen = -1;
        for (int i = 0; i < count; i++)
        {
            bool fits = results[i].Status == 0 && results[i].Determinism == CudnnApi.Deterministic && (long)results[i].Memory <= limit;
            bool better = chosen < 0
                || (type == CudaType.Float16 && results[i].MathType == CudnnApi.MathTensorOp
                    && results[chosen].MathType != CudnnApi.MathTensorOp);
            chosen = fits && better ? i : chosen;
        }

        if (chosen < 0)
        {
            throw new CudaException("cudnnGetConvolutionForwardAlgorithm_v7", 0, "cuDNN",
                $"no algorithm works within {limit:N0} bytes of scratch memory", Context.Ordinal, kernel: null, isSticky: false);
        }

        // Half precision: what the suggestion was measured with. In single precision, the default mode that may be suggested would allow
        // TF32.
        if (type == CudaType.Float16)
        {
            _cudnn.Check(CudnnApi.cudnnSetConvolutionMathType(_convolution, results[chosen].MathType), "cudnnSetConvolutionMathType");
        }

        nuint bytes;
        _cudnn.Check(
            CudnnApi.cudnnGetConvolutionForwardWorkspaceSize(_cudnn.Handle, _x, _filter, _convolution, _y, results[chosen].Algorithm,
                &bytes), "cudnnGetConvolutionForwardWorkspaceSize");
        return (results[chosen].Algorithm, (long)bytes);
    }
}

/// <summary>2×2 max pooling with stride 2 on NHWC activations of one size.</summary>
internal sealed unsafe class CudnnPooling : CudaOwned
{
    private readonly CudnnHandle _cudnn;
    private nint _pooling;
    private nint _x;
    private nint _y;

    public CudnnPooling(CudnnHandle cudnn, int images, int channels, int height, int width, CudaType type)
        : base(cudnn.Context)
    {
        _cudnn = cudnn;
        Make(() => Describe(cudnn, images, channels, height, width, type));
    }

    /// <param name="x">[n, h, w, c].</param>
    /// <param name="y">[n, h/2, w/2, c], overwritten.</param>
    public void Run(nint x, nint y)
    {
        float one = 1, zero = 0;
        Context.Use();
        _cudnn.Queued(CudnnApi.cudnnPoolingForward(_cudnn.Handle, _pooling, &one, _x, x, &zero, _y, y), "cudnnPoolingForward");
    }

    private protected override void Release()
    {
        CudnnHandle.Destroy(_pooling, &CudnnApi.cudnnDestroyPoolingDescriptor);
        CudnnHandle.Destroy(_x, &CudnnApi.cudnnDestroyTensorDescriptor);
        CudnnHandle.Destroy(_y, &CudnnApi.cudnnDestroyTensorDescriptor);
    }

    private void Describe(CudnnHandle cudnn, int images, int channels, int height, int width, CudaType type)
    {
        int data = CudnnHandle.TypeOf(type);
        nint pooling, x, y;
        cudnn.Check(CudnnApi.cudnnCreatePoolingDescriptor(&pooling), "cudnnCreatePoolingDescriptor");
        _pooling = pooling;
        cudnn.Check(CudnnApi.cudnnCreateTensorDescriptor(&x), "cudnnCreateTensorDescriptor");
        _x = x;
        cudnn.Check(CudnnApi.cudnnCreateTensorDescriptor(&y), "cudnnCreateTensorDescriptor");
        _y = y;
        cudnn.Check(CudnnApi.cudnnSetPooling2dDescriptor(pooling, CudnnApi.PoolingMax, CudnnApi.PropagateNan, 2, 2, 0, 0, 2, 2),
            "cudnnSetPooling2dDescriptor");
        cudnn.Check(CudnnApi.cudnnSetTensor4dDescriptor(x, CudnnApi.FormatNhwc, data, images, channels, height, width),
            "cudnnSetTensor4dDescriptor");
        cudnn.Check(CudnnApi.cudnnSetTensor4dDescriptor(y, CudnnApi.FormatNhwc, data, images, channels, height / 2, width / 2),
            "cudnnSetTensor4dDescriptor");
    }
}
