using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace CudaTrainer.OnnxRuntime;

/// <summary>ONNX Runtime on the processor. Its library of 29 MB is loaded when the first model runs.</summary>
public sealed class OnnxRuntimeRunner : IOnnxRunner
{
    public OnnxAnswer Run(string model, OnnxInput input, CancellationToken stop)
    {
        try
        {
            string version = OrtEnv.Instance().GetVersionString();

            // A number of threads of its own keeps it from binding them to cores, which containers may forbid.
            using var options = new SessionOptions
            {
                LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
                IntraOpNumThreads = Environment.ProcessorCount,
            };
            using var session = new InferenceSession(model, options);
            stop.ThrowIfCancellationRequested();
            using var run = new RunOptions();
            using CancellationTokenRegistration stopping = stop.Register(() => run.Terminate = true);
            TensorElementType type = input.Type == ElementType.U8 ? TensorElementType.UInt8 : TensorElementType.Float;
            using OrtValue value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, input.Shape);
            input.Data.Span.CopyTo(value.GetTensorMutableRawData());
            using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, [input.Name], [value], session.OutputNames);
            return new OnnxAnswer(version, session.OutputNames.Zip(outputs).ToDictionary(pair => pair.First, pair => Doubles(pair.Second)));
        }
        catch (Exception exception) when (exception.GetBaseException() is DllNotFoundException)
        {
            throw new IOException("ONNX Runtime's library, libonnxruntime.so beside the program, cannot be loaded.", exception);
        }
        catch (OnnxRuntimeException) when (stop.IsCancellationRequested)
        {
            throw new OperationCanceledException(stop);
        }
        catch (OnnxRuntimeException exception)
        {
            throw new FileFormatException(model, $"ONNX Runtime refuses the model: {exception.Message}", inner: exception);
        }
    }

    private static double[] Doubles(OrtValue value) => [.. value.GetTensorDataAsSpan<float>().ToArray().Select(number => (double)number)];
}
