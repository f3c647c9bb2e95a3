namespace CudaTrainer.Engine.Tests.Cuda;

/// <summary>Every op of the registry on CUDA against the reference, in single and in half precision, with each LSTM.</summary>
[Collection(CudaCollection.Name)]
public sealed class CudaGradientTests
{
    public static TheoryData<string, string> Cases => OpMatrix.On("cuda");

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_the_reference_in_double(string op, string place) => OpMatrix.Check(op, place);
}
