namespace CudaTrainer.Engine.Ops;

/// <summary>How recurrent LSTM layers run.</summary>
public enum LstmPath
{
    /// <summary>Our own kernels up to the hidden size that they keep in registers; cuDNN, where there is one, above it.</summary>
    Auto,

    /// <summary>Our own: input products by cuBLAS, the whole recurrence in one launch.</summary>
    Fused,

    Cudnn,
}

/// <param name="HalfBackbone">VGG19 in half precision on tensor cores; single precision otherwise.</param>
/// <param name="Lstm">Which implementation of the LSTM.</param>
public sealed record CudaDeviceOptions(bool HalfBackbone = true, LstmPath Lstm = LstmPath.Auto)
{
    /// <summary>The environment variable that chooses <see cref="Lstm"/>: auto, fused or cudnn.</summary>
    public const string LstmVariable = "CUDATRAINER_LSTM";

    public static CudaDeviceOptions FromEnvironment(bool halfBackbone)
    {
        string? text = Environment.GetEnvironmentVariable(LstmVariable);
        return string.IsNullOrEmpty(text)
            ? new CudaDeviceOptions(halfBackbone)
            : Enum.TryParse(text, ignoreCase: true, out LstmPath path) && Enum.IsDefined(path)
                ? new CudaDeviceOptions(halfBackbone, path)
                : throw new RunException($"{LstmVariable}={text}: there is no such LSTM path.", "Use auto, fused or cudnn.");
    }
}
