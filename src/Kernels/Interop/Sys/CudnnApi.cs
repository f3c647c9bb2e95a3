using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>
/// What we call of cuDNN, the same in versions 8 and 9, as in cudnn.h; results are <c>cudnnStatus_t</c>, descriptors <c>nint</c>.
/// </summary>
internal static unsafe partial class CudnnApi
{
    public const string Library = "cudnn";

    public const int DataFloat = 0;
    public const int DataHalf = 2;
    public const int FormatNhwc = 1;
    public const int MathDefault = 0;
    public const int MathTensorOp = 1;
    public const int MathFma = 3;
    public const int Deterministic = 1;
    public const int PropagateNan = 1;
    public const int CrossCorrelation = 1;
    public const int ActivationRelu = 1;
    public const int PoolingMax = 0;
    public const int RnnAlgorithmStandard = 0;
    public const int RnnLstm = 2;
    public const int RnnSingleInputBias = 1;
    public const int RnnUnidirectional = 0;
    public const int RnnLinearInput = 0;
    public const uint RnnPaddedIo = 1;
    public const int RnnBatchMajorUnpacked = 2;
    public const int ForwardTraining = 1;
    public const int WeightGradientAdd = 0;

    [LibraryImport(Library)]
    public static partial nuint cudnnGetVersion();

    [LibraryImport(Library)]
    public static partial byte* cudnnGetErrorString(int status);

    [LibraryImport(Library)]
    public static partial int cudnnCreate(nint* handle);

    [LibraryImport(Library)]
    public static partial int cudnnDestroy(nint handle);

    [LibraryImport(Library)]
    public static partial int cudnnSetStream(nint handle, nint stream);

    [LibraryImport(Library)]
    public static partial int cudnnCreateTensorDescriptor(nint* descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnSetTensor4dDescriptor(nint descriptor, int format, int type, int n, int c, int h, int w);

    [LibraryImport(Library)]
    public static partial int cudnnSetTensorNdDescriptor(nint descriptor, int type, int dimensions, int* lengths, int* strides);

    [LibraryImport(Library)]
    public static partial int cudnnGetTensorNdDescriptor(nint descriptor, int requested, int* type, int* dimensions, int* lengths,
        int* strides);

    [LibraryImport(Library)]
    public static partial int cudnnDestroyTensorDescriptor(nint descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnCreateFilterDescriptor(nint* descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnSetFilter4dDescriptor(nint descriptor, int type, int format, int k, int c, int h, int w);

    [LibraryImport(Library)]
    public static partial int cudnnDestroyFilterDescriptor(nint descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnCreateConvolutionDescriptor(nint* descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnSetConvolution2dDescriptor(
        nint descriptor, int padHeight, int padWidth, int strideHeight, int strideWidth, int dilationHeight, int dilationWidth, int mode,
            int computeType);

    [LibraryImport(Library)]
    public static partial int cudnnSetConvolutionMathType(nint descriptor, int mathType);

    [LibraryImport(Library)]
    public static partial int cudnnDestroyConvolutionDescriptor(nint descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnCreateActivationDescriptor(nint* descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnSetActivationDescriptor(nint descriptor, int mode, int nanPropagation, double coefficient);

    [LibraryImport(Library)]
    public static partial int cudnnDestroyActivationDescriptor(nint descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnCreatePoolingDescriptor(nint* descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnSetPooling2dDescriptor(
        nint descriptor, int mode, int nanPropagation, int windowHeight, int windowWidth, int padHeight, int padWidth, int strideHeight,
            int strideWidth);

    [LibraryImport(Library)]
    public static partial int cudnnDestroyPoolingDescriptor(nint descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnGetConvolutionForwardAlgorithm_v7(
        nint handle, nint x, nint filter, nint convolution, nint y, int requested, int* returned, CudnnAlgorithmResult* results);

    [LibraryImport(Library)]
    public static partial int cudnnGetConvolutionForwardWorkspaceSize(nint handle, nint x, nint filter, nint convolution, nint y,
        int algorithm, nuint* bytes);

    [LibraryImport(Library)]
    public static partial int cudnnConvolutionBiasActivationForward(
        nint handle, void* alpha1, nint xDescriptor, nint x, nint filterDescriptor, nint filter, nint convolution, int algorithm,
        nint workspace, nuint workspaceBytes,
        void* alpha2, nint zDescriptor, nint z, nint biasDescriptor, nint bias, nint activation, nint yDescriptor, nint y);

    [LibraryImport(Library)]
    public static partial int cudnnPoolingForward(nint handle, nint pooling, void* alpha, nint xDescriptor, nint x, void* beta,
        nint yDescriptor, nint y);

    [LibraryImport(Library)]
    public static partial int cudnnCreateDropoutDescriptor(nint* descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnSetDropoutDescriptor(nint descriptor, nint handle, float dropout, nint states, nuint stateBytes,
        ulong seed);

    [LibraryImport(Library)]
    public static partial int cudnnDestroyDropoutDescriptor(nint descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnCreateRNNDescriptor(nint* descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnSetRNNDescriptor_v8(
        nint descriptor, int algorithm, int cellMode, int biasMode, int directionMode, int inputMode, int dataType, int mathPrecision,
        int mathType, int inputSize, int hiddenSize, int projectionSize, int layers, nint dropout, uint flags);

    [LibraryImport(Library)]
    public static partial int cudnnDestroyRNNDescriptor(nint descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnCreateRNNDataDescriptor(nint* descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnSetRNNDataDescriptor(nint descriptor, int dataType, int layout, int maxLength, int batch,
        int vectorSize, int* lengths, void* paddingFill);

    [LibraryImport(Library)]
    public static partial int cudnnDestroyRNNDataDescriptor(nint descriptor);

    [LibraryImport(Library)]
    public static partial int cudnnGetRNNWeightSpaceSize(nint handle, nint rnn, nuint* bytes);

    [LibraryImport(Library)]
    public static partial int cudnnGetRNNWeightParams(
        nint handle, nint rnn, int pseudoLayer, nuint weightSpaceBytes, nint weightSpace, int linearLayer, nint matrixDescriptor,
            nint* matrix, nint biasDescriptor, nint* bias);

    [LibraryImport(Library)]
    public static partial int cudnnGetRNNTempSpaceSizes(nint handle, nint rnn, int forwardMode, nint x, nuint* workspaceBytes,
        nuint* reserveBytes);

    [LibraryImport(Library)]
    public static partial int cudnnRNNForward(
        nint handle, nint rnn, int forwardMode, nint deviceLengths, nint xDescriptor, nint x, nint yDescriptor, nint y, nint hDescriptor,
        nint hx, nint hy, nint cDescriptor, nint cx, nint cy,
        nuint weightSpaceBytes, nint weightSpace, nuint workspaceBytes, nint workspace, nuint reserveBytes, nint reserve);

    [LibraryImport(Library)]
    public static partial int cudnnRNNBackwardData_v8(
        nint handle, nint rnn, nint deviceLengths, nint yDescriptor, nint y, nint dy, nint xDescriptor, nint dx, nint hDescriptor, nint hx,
        nint dhy, nint dhx, nint cDescriptor, nint cx, nint dcy,
        nint dcx, nuint weightSpaceBytes, nint weightSpace, nuint workspaceBytes, nint workspace, nuint reserveBytes, nint reserve);

    [LibraryImport(Library)]
    public static partial int cudnnRNNBackwardWeights_v8(
        nint handle, nint rnn, int addGradient, nint deviceLengths, nint xDescriptor, nint x, nint hDescriptor, nint hx, nint yDescriptor,
        nint y, nuint weightSpaceBytes, nint dWeightSpace, nuint workspaceBytes, nint workspace, nuint reserveBytes, nint reserve);
}

/// <summary>cudnnConvolutionFwdAlgoPerf_t: 48 bytes, the reserved integers included.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CudnnAlgorithmResult
{
    public int Algorithm;
    public int Status;
    public float Time;
    public nuint Memory;
    public int Determinism;
    public int MathType;
    public fixed int Reserved[3];
}
