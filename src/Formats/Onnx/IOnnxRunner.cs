namespace CudaTrainer.Formats.Onnx;

/// <summary>Another engine, that runs ONNX files so that its answers can be compared with ours.</summary>
public interface IOnnxRunner
{
    /// <summary>Runs a model on an input.</summary>
    /// <param name="model">The file.</param>
    /// <param name="input">Its one input.</param>
    /// <param name="stop">Ends it.</param>
    /// <exception cref="FileFormatException">It refuses the model.</exception>
    /// <exception cref="IOException">It cannot be run here.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    OnnxAnswer Run(string model, OnnxInput input, CancellationToken stop);
}

/// <summary>An input for a model: its bytes row-major and little-endian.</summary>
/// <param name="Type">F32 or U8.</param>
public sealed record OnnxInput(string Name, ElementType Type, long[] Shape, ReadOnlyMemory<byte> Data);

/// <summary>What a model answered.</summary>
/// <param name="Version">ONNX Runtime's version.</param>
/// <param name="Outputs">By name, row-major.</param>
public sealed record OnnxAnswer(string Version, IReadOnlyDictionary<string, double[]> Outputs);
