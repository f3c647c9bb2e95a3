using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Tests.Cuda;

/// <summary>Every op of the registry on CUDA against the reference, in single and in half precision, with each LSTM.</summary>
[Collection(CudaCollection.Name)]
public sealed class CudaGradientTests
{
    public static TheoryData<string, DType, LstmPath> Cases
    {
        get
        {
            TheoryData<string, DType, LstmPath> data = [];
            foreach (string op in OpCases.All().Select(op => op.Name))
            {
                foreach (DType type in new[] { DType.Float32, DType.Float16 })
                {
                    data.Add(op, type, LstmPath.Fused);
                    if (op.StartsWith("Lstm", StringComparison.Ordinal))
                    {
                        data.Add(op, type, LstmPath.Cudnn);
                    }
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_the_reference(string name, DType type, LstmPath lstm)
    {
        using CudaDevice device = CudaSimulator.Open(new CudaDeviceOptions(Lstm: lstm));
        GradientCheckRow row = GradientCheck.AgainstReference(OpCases.All().Single(op => op.Name == name), device, type);
        row.Passed.ShouldBeTrue(row.ToString());
    }
}
