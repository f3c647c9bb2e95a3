using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Tests.Cuda;

/// <summary><see cref="SyncBatchNormTests"/> with every replica on a device of its own, in single and in half precision.</summary>
[Collection(CudaCollection.Name)]
public sealed class CudaSyncBatchNormTests
{
    public static TheoryData<int, DType> Cases
    {
        get
        {
            TheoryData<int, DType> data = [];
            foreach (int index in Enumerable.Range(0, SyncBatchNormCheck.All.Count()))
            {
                data.Add(index, DType.Float32);
                data.Add(index, DType.Float16);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Replicas_agree_with_the_whole_batch(int index, DType activations) => SyncBatchNormCheck.All.ElementAt(index).Run(
        () => CudaSimulator.Open(), activations, DType.Float32, activations == DType.Float16 ? 2e-3 : 1e-6, 1e-6);
}
