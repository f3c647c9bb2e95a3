namespace CudaTrainer.Formats.Onnx;

/// <summary>Another engine, that runs ONNX files: to compare its answers with ours, or as backbones.</summary>
public interface IOnnxRunner
{
    /// <summary>Loads a model to run it any number of times.</summary>
    /// <param name="path">The file, for messages; external data lie beside it.</param>
    /// <param name="model">Its bytes, or those of a part of it.</param>
    /// <param name="threads">Threads that compute; 0 for as many as there are cores.</param>
    /// <exception cref="FileFormatException">It refuses the model.</exception>
    /// <exception cref="IOException">Nothing can be run here.</exception>
    IOnnxSession Load(string path, byte[] model, int threads);

    /// <summary>As <see cref="Load"/>, on a GPU; on the processor where that is impossible, and then it says why.</summary>
    /// <param name="gpu">Its number as CUDA counts.</param>
    IOnnxSession LoadOnGpu(string path, byte[] model, int threads, int gpu) => Load(path, model, threads);

    /// <summary>Runs a model on an input.</summary>
    /// <param name="model">The file.</param>
    /// <param name="input">Its one input.</param>
    /// <param name="stop">Ends it.</param>
    /// <exception cref="FileFormatException">It refuses the model.</exception>
    /// <exception cref="IOException">It cannot be run here.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    OnnxAnswer Run(string model, OnnxInput input, CancellationToken stop);
}

/// <summary>A model that is loaded. For several threads.</summary>
public interface IOnnxSession : IDisposable
{
    /// <summary>What it computes on, for a person; why on that where it is not what was asked for.</summary>
    string Place => "the processor";

    /// <returns>The model's first output.</returns>
    /// <exception cref="FileFormatException">The model cannot be run on this input, or gives something else than floats.</exception>
    OnnxArray Run(OnnxInput input);
}

/// <summary>An array that a model gave.</summary>
/// <param name="Values">Row-major.</param>
public readonly record struct OnnxArray(IReadOnlyList<long> Shape, float[] Values);

/// <summary>An input for a model: its bytes row-major and little-endian.</summary>
/// <param name="Type">F32 or U8.</param>
public sealed record OnnxInput(string Name, ElementType Type, long[] Shape, ReadOnlyMemory<byte> Data);

/// <summary>What a model answered.</summary>
/// <param name="Version">ONNX Runtime's version.</param>
/// <param name="Outputs">By name, row-major.</param>
public sealed record OnnxAnswer(string Version, IReadOnlyDictionary<string, double[]> Outputs);
