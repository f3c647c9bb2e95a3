using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace CudaTrainer.OnnxRuntime;

/// <summary>
/// ONNX Runtime on the processor, and on NVIDIA's GPUs where its library with CUDA is there (<see cref="OnnxRuntimeLibrary"/>). The library
/// of 29 MB is loaded when the first model runs.
/// </summary>
public sealed class OnnxRuntimeRunner : IOnnxRunner
{
    private const string Processor = "the processor";

    public IOnnxSession Load(string path, byte[] model, int threads) => Load(path, model, threads, Processor);

    public IOnnxSession LoadOnGpu(string path, byte[] model, int threads, int gpu)
    {
        if (OnnxRuntimeLibrary.WhyNoCuda is { } why)
        {
            return Load(path, model, threads, $"{Processor}: {why}");
        }

        try
        {
            using SessionOptions options = OptionsInMemory(path, threads);
            using var cuda = new OrtCUDAProviderOptions();

            // Features are to be those of the processor but for rounding, which ten bits of a product (TF32) are not.
            cuda.UpdateOptions(new Dictionary<string, string> { ["device_id"] = $"{gpu}", ["use_tf32"] = "0" });
            options.AppendExecutionProvider_CUDA(cuda);
            return new OnnxRuntimeSession(path, new InferenceSession(model, options), $"cuda:{gpu}");
        }
        catch (Exception exception) when (exception is OnnxRuntimeException or EntryPointNotFoundException or DllNotFoundException)
        {
            return Load(path, model, threads, $"{Processor}: {Reason(exception)}");
        }
    }

    /// <summary>What went wrong, without where in ONNX Runtime's source.</summary>
    private static string Reason(Exception exception) => exception.Message.Split('\n')[0].Split(" : FAIL : ")[^1].Trim();

    private static OnnxRuntimeSession Load(string path, byte[] model, int threads, string place) => Guarded(path, () =>
    {
        using SessionOptions options = OptionsInMemory(path, threads);
        return new OnnxRuntimeSession(path, new InferenceSession(model, options), place);
    });

    public OnnxAnswer Run(string model, OnnxInput input, CancellationToken stop)
    {
        try
        {
            return Guarded(model, () =>
            {
                using SessionOptions options = Options(threads: 0);
                using var session = new InferenceSession(model, options);
                stop.ThrowIfCancellationRequested();
                using var run = new RunOptions();
                using CancellationTokenRegistration stopping = stop.Register(() => run.Terminate = true);
                using OrtValue value = ValueOf(input);
                using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, [input.Name], [value], session.OutputNames);
                return new OnnxAnswer(OrtEnv.Instance().GetVersionString(),
                    session.OutputNames.Zip(outputs).ToDictionary(pair => pair.First, pair => Doubles(pair.Second)));
            });
        }
        catch (FileFormatException) when (stop.IsCancellationRequested)
        {
            throw new OperationCanceledException(stop);
        }
    }

    internal static OrtValue ValueOf(OnnxInput input)
    {
        TensorElementType type = input.Type == ElementType.U8 ? TensorElementType.UInt8 : TensorElementType.Float;
        OrtValue value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, input.Shape);
        input.Data.Span.CopyTo(value.GetTensorMutableRawData());
        return value;
    }

    internal static FileFormatException Refused(string path, OnnxRuntimeException exception) =>
        new(path, $"ONNX Runtime refuses the model: {exception.Message}", inner: exception);

    private static T Guarded<T>(string path, Func<T> act)
    {
        try
        {
            // Before anything of it is called, which library that is has to be settled.
            _ = OnnxRuntimeLibrary.WhyNoCuda;
            return act();
        }
        catch (Exception exception) when (exception.GetBaseException() is DllNotFoundException)
        {
            throw new IOException("ONNX Runtime's library, libonnxruntime.so beside the program, cannot be loaded.", exception);
        }
        catch (OnnxRuntimeException exception)
        {
            throw Refused(path, exception);
        }
    }

    /// <summary>For a model in memory, which has no folder of its own.</summary>
    private static SessionOptions OptionsInMemory(string path, int threads)
    {
        SessionOptions options = Options(threads);
        options.AddSessionConfigEntry("session.model_external_initializers_file_folder_path",
            Path.GetDirectoryName(Path.GetFullPath(path)));
        return options;
    }

    /// <param name="threads">0 for one per core.</param>
    private static SessionOptions Options(int threads) => new()
    {
        LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,

        // A number of threads of its own keeps it from binding them to cores, which containers may forbid.
        IntraOpNumThreads = threads > 0 ? threads : Environment.ProcessorCount,
    };

    private static double[] Doubles(OrtValue value) => [.. value.GetTensorDataAsSpan<float>().ToArray().Select(number => (double)number)];
}
