using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace CudaTrainer.OnnxRuntime;

/// <summary>A model that ONNX Runtime has loaded.</summary>
/// <param name="path">For messages.</param>
internal sealed class OnnxRuntimeSession(string path, InferenceSession session, string place) : IOnnxSession
{
    public string Place => place;

    public OnnxArray Run(OnnxInput input)
    {
        try
        {
            using OrtValue value = OnnxRuntimeRunner.ValueOf(input);
            using var run = new RunOptions();
            string output = session.OutputNames[0];
            using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, [input.Name], [value], [output]);
            OrtTensorTypeAndShapeInfo info = outputs[0].GetTensorTypeAndShape();
            return info.ElementDataType == TensorElementType.Float
                ? new OnnxArray(info.Shape, outputs[0].GetTensorDataAsSpan<float>().ToArray())
                : throw new FileFormatException(path, $"'{output}' has numbers of type {info.ElementDataType}; features are float");
        }
        catch (OnnxRuntimeException exception)
        {
            throw OnnxRuntimeRunner.Refused(path, exception);
        }
    }

    public void Dispose() => session.Dispose();
}
