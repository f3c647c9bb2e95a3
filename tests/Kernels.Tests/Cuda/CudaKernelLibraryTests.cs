using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

[Collection(CudaCollection.Name)]
public sealed class CudaKernelLibraryTests(CudaFixture fixture)
{
    [Fact]
    public void Launches_allocate_nothing_once_kernels_are_loaded()
    {
        const int Batch = 4, Time = 3, Hidden = 16, Rows = Batch * Time, Count = Rows * Hidden;
        using var arrays = new DeviceArrays(fixture, CudaType.Float16);
        DeviceArray x = arrays.Updated(Numbers.Random(Count, 1)), y = arrays.Output(Count),
            gates = arrays.Updated(Numbers.Random(4 * Count, 2)), w = arrays.Input(Numbers.Random(4 * Hidden * Hidden, 3));
        DeviceArray values = arrays.UpdatedFloats(Numbers.Random(4 * Hidden, 4)), mean = arrays.OutputFloats(Hidden),
            inverse = arrays.OutputFloats(Hidden), cells = arrays.OutputFloats(Count);
        DeviceArray running = arrays.UpdatedFloats(new float[Hidden]), spread = arrays.UpdatedFloats(new float[Hidden]),
            first = arrays.UpdatedFloats(new float[64]), second = arrays.UpdatedFloats(new float[64]);
        DeviceArray slopes = arrays.UpdatedFloats(Numbers.Random(64, 5)), state = arrays.UpdatedRaw(new StepState { LossScale = 2 }),
            segments = arrays.Raw(0L, 64), norms = arrays.OutputFloats(1), workspace = arrays.Workspace(4_096);
        var lstm = new Cuda.Lstm(fixture.Library);
        var norm = new Cuda.BatchNorm(fixture.Library);
        var unscale = new Cuda.GradientUnscale(fixture.Library);
        var adam = new Cuda.Adam(fixture.Library);
        var control = new Cuda.StepControl(fixture.Library);
        var dropout = new GpuDropout(0.5f, 1, 2, state);
        void Step()
        {
            control.BeginStep(fixture.Stream, state, values);
            lstm.Forward(fixture.Stream, Batch, Time, Hidden, gates, values, w, y, cells, reverse: false, CudaType.Float16);
            norm.ForwardTraining(fixture.Stream, Rows, Hidden, x, values, values, running, spread, y, mean, inverse, relu: true, dropout,
                0.99f, 1e-3f, CudaType.Float16);
            unscale.Run(fixture.Stream, 1, 64, slopes, segments, norms, state, workspace);
            adam.Step(fixture.Stream, 1, 64, values, slopes, first, second, segments, norms, 0, 0, state, workspace, new AdamOptions());
            control.UpdateLossScale(fixture.Stream, state, enabled: true);
        }

        Step();
        Step();
        fixture.Stream.Synchronize();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
        {
            Step();
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBe(0);
        fixture.Stream.Synchronize();
        arrays.Verify();
    }

    /// <summary>
    /// The sums of every kernel that reduces, launched repeatedly: nothing may depend on the order in which blocks and warps happen to run.
    /// </summary>
    [Theory]
    [InlineData(CudaType.Float32)]
    [InlineData(CudaType.Float16)]
    public void Repeated_launches_have_the_same_bits(CudaType type)
    {
        const int Rows = 320, Channels = 72, Count = Rows * Channels;
        float[][]? first = null;
        for (int repetition = 0; repetition < 3; repetition++)
        {
            using var arrays = new DeviceArrays(fixture, type);
            DeviceArray x = arrays.Input(Numbers.Random(Count, 1)), dy = arrays.Input(Numbers.Random(Count, 2)),
                pooledGradient = arrays.Input(Numbers.Random(16 * Channels, 3));
            DeviceArray gamma = arrays.Floats(Numbers.Random(Channels, 4)), sums = arrays.UpdatedFloats(new float[Channels]),
                y = arrays.Output(Count), dx = arrays.Output(Count);
            DeviceArray mean = arrays.OutputFloats(Channels), inverse = arrays.OutputFloats(Channels),
                dScale = arrays.UpdatedFloats(new float[Channels]), dShift = arrays.UpdatedFloats(new float[Channels]);
            DeviceArray pooled = arrays.Output(16 * Channels), attention = arrays.OutputFloats(16 * 20), dPooled = arrays.Output(Count),
                dWeight = arrays.UpdatedFloats(new float[Channels]);
            DeviceArray gradients = arrays.UpdatedFloats(Numbers.Random(Count, 5)), norms = arrays.OutputFloats(2);
            DeviceArray state = arrays.UpdatedRaw(new StepState { LossScale = 3 });
            var dropout = new GpuDropout(0.5f, 1, 2, state);

            new Cuda.ColumnSums(fixture.Library).Run(fixture.Stream, Rows, Channels, x, sums, type);
            var norm = new Cuda.BatchNorm(fixture.Library);
            norm.ForwardTraining(
                fixture.Stream, Rows, Channels, x, gamma, gamma, arrays.UpdatedFloats(new float[Channels]),
                arrays.UpdatedFloats(new float[Channels]), y, mean, inverse, relu: true, dropout,
                0.99f, 1e-3f, type);
            norm.Backward(fixture.Stream, Rows, Channels, dy, x, gamma, gamma, mean, inverse, dx, dScale, dShift, relu: true, dropout,
                type);
            DeviceArray moments = arrays.OutputFloats((2 * Channels) + 1), slopes = arrays.OutputFloats((2 * Channels) + 1);
            norm.Moments(fixture.Stream, Rows, Channels, x, moments, type);
            norm.GradientSums(fixture.Stream, Rows, Channels, dy, x, gamma, gamma, mean, inverse, slopes, dScale, dShift, relu: true,
                dropout, type);
            var pool = new Cuda.AttentionPool(fixture.Library);
            pool.Forward(fixture.Stream, 16, 20, Channels, x, gamma, pooled, attention, type);
            pool.Backward(
                fixture.Stream, 16, 20, Channels, pooledGradient, x, gamma, attention, dPooled, dWeight,
                    arrays.Workspace(Cuda.AttentionPool.WorkspaceBytes(16, 20, Channels)), type);
            new Cuda.GradientUnscale(fixture.Library).Run(
                fixture.Stream, 2, Count, gradients, arrays.Raw(0L, 5_001, Count), norms, state,
                    arrays.Workspace(Cuda.GradientUnscale.WorkspaceBytes(2, Count)));
            float[][] results = [moments.Read(), slopes.Read(), sums.Read(), y.Read(), mean.Read(), inverse.Read(), dx.Read(),
                dScale.Read(), dShift.Read(), pooled.Read(), attention.Read(), dPooled.Read(), dWeight.Read(), norms.Read()];
            first ??= results;
            for (int i = 0; i < results.Length; i++)
            {
                results[i].ShouldBeTheSameBitsAs(first[i], $"result {i}");
            }

            arrays.Verify();
        }
    }
}
