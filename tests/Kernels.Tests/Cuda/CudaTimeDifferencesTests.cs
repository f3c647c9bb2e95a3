using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Differences over time, against the CPU's kernels, which are proven against plain loops.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaTimeDifferencesTests(CudaFixture fixture)
{
    public static TheoryData<CudaType, bool> Types => CudaTolerance.Types;

    [Theory]
    [MemberData(nameof(Types))]
    public void Agrees_with_the_cpu(CudaType type, bool misaligned)
    {
        var op = new Cuda.TimeDifferences(fixture.Library);
        using var team = new ThreadTeam(1, SimdSelection.Current);
        foreach ((int batch, int time, int features) in
            ((int, int, int)[])[(0, 3, 4), (1, 1, 1), (3, 20, 128), (2, 7, 15), (5, 17, 33), (4, 1, 16), (2, 2, 257),
                (9, 2, 64), (17, 9, 8)])
        {
            using var buffers = new Buffers();
            using var arrays = new DeviceArrays(fixture, type, misaligned);
            int count = batch * time * features;
            float[] x = arrays.Rounded(Numbers.Random(count, 1)), dy = arrays.Rounded(Numbers.Random(2 * count, 3));
            GuardedBuffer<float> y = buffers.Output(2 * count), dx = buffers.Output(count);
            Cpu.TimeDifferences.Forward(team, batch, time, features, buffers.Of(x).Pointer, y.Pointer);
            Cpu.TimeDifferences.Backward(team, batch, time, features, buffers.Of(dy).Pointer, dx.Pointer);

            DeviceArray deviceY = arrays.Output(2 * count), deviceDx = arrays.Output(count);
            op.Forward(fixture.Stream, batch, time, features, arrays.Input(x), deviceY, type);
            op.Backward(fixture.Stream, batch, time, features, arrays.Input(dy), deviceDx, type);

            // Both subtract and round once, or add twice in the same order before they round.
            string what = $"{batch}×{time}×{features}";
            deviceY.Read().ShouldBe(y.Read().Select(value => type.Round(value)), $"{what} y");
            deviceDx.Read().ShouldBe(dx.Read().Select(value => type.Round(value)), $"{what} dx");
            arrays.Verify();
        }
    }
}
