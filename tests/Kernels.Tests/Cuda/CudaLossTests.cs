using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// The loss and attention pooling, against the CPU's kernels, which are proven against plain loops and compute the loss in double.
/// </summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaLossTests(CudaFixture fixture)
{
    public static TheoryData<CudaType, bool> Types => CudaTolerance.Types;

    public static TheoryData<CudaType, bool, float, float> Forms
    {
        get
        {
            var data = new TheoryData<CudaType, bool, float, float>();
            foreach (CudaType type in Enum.GetValues<CudaType>())
            {
                foreach ((bool focal, float gamma, float smoothing) in
                    ((bool, float, float)[])[(false, 2, 0), (false, 2, 0.1f), (true, 0, 0), (true, 0.5f, 0.1f), (true, 1, 0.1f),
                        (true, 2, 0), (true, 2, 0.1f), (true, 3.7f, 0.2f)])
                {
                    data.Add(type, focal, gamma, smoothing);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Loss_and_gradient_agree_with_the_cpu(CudaType type, bool focal, float gamma, float smoothing)
    {
        var op = new Cuda.SoftmaxFocalLoss(fixture.Library);
        using var team = new ThreadTeam(1, SimdSelection.Current);
        foreach ((int batch, int classes) in ((int, int)[])
            [(1, 2), (64, 2), (37, 5), (255, 3), (256, 2), (257, 2), (1_000, 10), (3, 1), (70, 64)])
        {
            using var buffers = new Buffers();
            using var arrays = new DeviceArrays(fixture, type);
            float[] logits = arrays.Rounded(Numbers.Random(batch * classes, 1, 3)),
                weights = [.. Numbers.Random(classes, 2).Select(w => w + 1.5f)];
            float[] alpha = [.. Numbers.Random(classes, 3).Select(a => (a * 0.2f) + 0.3f)];
            int[] labels = [.. Enumerable.Range(0, batch).Select(i => i * 7 % classes)];
            logits[^1] = logits[0];
            var options = new LossOptions(focal, gamma, smoothing);
            var before = new StepState { LossScale = 1_024, Loss = 0.25f, Correct = 3 };
            StepState expected = before;
            float scale = 1f / (batch + 5);
            GuardedBuffer<float> losses = buffers.Output(batch), probabilities = buffers.Output(logits.Length),
                gradient = buffers.Output(logits.Length);
            Cpu.SoftmaxFocalLoss.Run(
                team, batch, classes, buffers.Of(logits), buffers.Of(labels), buffers.Of(weights), buffers.Of(alpha), losses,
                    probabilities, gradient, &expected, scale, options);

            DeviceArray state = arrays.UpdatedRaw(before), deviceLosses = arrays.OutputFloats(batch),
                deviceProbabilities = arrays.OutputFloats(logits.Length);
            DeviceArray dLogits = arrays.Output(logits.Length), input = arrays.Input(logits), label = arrays.Raw(labels),
                w = arrays.Floats(weights), a = arrays.Floats(alpha);
            op.Run(fixture.Stream, batch, classes, input, label, w, a, deviceLosses, deviceProbabilities, dLogits, state, scale, options,
                type);

            string what = $"{batch}×{classes}";
            deviceLosses.Read().ShouldAgreeWith(losses.Read().Widen(), Agreement.Forward, $"{what} losses");
            deviceProbabilities.Read().ShouldAgreeWith(probabilities.Read().Widen(), Agreement.Forward, $"{what} probabilities");
            if (classes > 1)
            {
                dLogits.Read().ShouldAgreeWith(gradient.Read().Widen(), type.Backward(), $"{what} gradient");
            }

            StepState after = state.Read<StepState>()[0];
            after.Loss.ShouldBe(expected.Loss, 1e-5f * Math.Abs(expected.Loss), what);
            after.Correct.ShouldBe(expected.Correct, what);
            (after with { Loss = 0, Correct = 0 }).ShouldBe(before with { Loss = 0, Correct = 0 });

            // Evaluation: the same losses, and no gradient.
            DeviceArray again = arrays.OutputFloats(batch);
            op.Run(fixture.Stream, batch, classes, input, label, w, a, again, arrays.OutputFloats(logits.Length), 0,
                arrays.UpdatedRaw(before), scale, options, type);
            again.Read().ShouldBeTheSameBitsAs(deviceLosses.Read(), what);
            arrays.Verify();
        }
    }

    [Theory]
    [InlineData(100f)]
    [InlineData(-100f)]
    [InlineData(30f)]
    [InlineData(8f)]
    public void Confident_logits_neither_overflow_nor_cancel(float difference)
    {
        var op = new Cuda.SoftmaxFocalLoss(fixture.Library);
        using var team = new ThreadTeam(1, SimdSelection.Current);
        foreach (bool focal in (bool[])[false, true])
        {
            using var buffers = new Buffers();
            using var arrays = new DeviceArrays(fixture);
            var options = new LossOptions(focal, 2, 0.1f);
            var state = new StepState { LossScale = 1 };
            GuardedBuffer<float> losses = buffers.Output(1), gradient = buffers.Output(2);
            Cpu.SoftmaxFocalLoss.Run(
                team, 1, 2, buffers.Of(0, difference), buffers.Of(1), buffers.Of(1f, 1f), buffers.Of(1f, 1f), losses, buffers.Output(2),
                    gradient, &state, 1, options);
            DeviceArray deviceLosses = arrays.OutputFloats(1), deviceGradient = arrays.OutputFloats(2);
            op.Run(
                fixture.Stream, 1, 2, arrays.Floats(0, difference), arrays.Raw(1), arrays.Floats(1, 1), arrays.Floats(1, 1), deviceLosses,
                arrays.OutputFloats(2), deviceGradient,
                arrays.UpdatedRaw(new StepState { LossScale = 1 }), 1, options, CudaType.Float32);
            deviceLosses.Read().ShouldAgreeWith(losses.Read().Widen(), Agreement.Forward, "loss");
            deviceGradient.Read().ShouldAgreeWith(gradient.Read().Widen(), Agreement.Backward, "gradient");
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Attention_agrees_with_the_cpu(CudaType type, bool misaligned)
    {
        var op = new Cuda.AttentionPool(fixture.Library);
        using var team = new ThreadTeam(1, SimdSelection.Current);
        foreach ((int batch, int time, int channels) in
            ((int, int, int)[])[(0, 3, 4), (1, 1, 1), (3, 20, 128), (2, 7, 15), (5, 17, 33), (4, 33, 257), (1, 100, 16), (9, 2, 64),
                (2, 3, 520), (17, 9, 8)])
        {
            using var buffers = new Buffers();
            using var arrays = new DeviceArrays(fixture, type, misaligned);
            int count = batch * time * channels;
            float[] x = arrays.Rounded(Numbers.Random(count, 1)), dy = arrays.Rounded(Numbers.Random(batch * channels, 3)),
                w = Numbers.Random(channels, 2), before = Numbers.Random(channels, 4);
            GuardedBuffer<float> y = buffers.Output(batch * channels), attention = buffers.Output(batch * time),
                dx = buffers.Output(count), dw = buffers.Of(before), input = buffers.Of(x);
            Cpu.AttentionPool.Forward(team, batch, time, channels, input, buffers.Of(w), y, attention);
            Cpu.AttentionPool.Backward(team, batch, time, channels, input, buffers.Of(w), attention, buffers.Of(dy), dx, dw);

            DeviceArray deviceInput = arrays.Input(x), weight = arrays.Floats(w), deviceY = arrays.Output(batch * channels),
                deviceAttention = arrays.OutputFloats(batch * time);
            DeviceArray deviceDx = arrays.Output(count), dWeight = arrays.UpdatedFloats(before);
            op.Forward(fixture.Stream, batch, time, channels, deviceInput, weight, deviceY, deviceAttention, type);
            op.Backward(
                fixture.Stream, batch, time, channels, arrays.Input(dy), deviceInput, weight, deviceAttention, deviceDx, dWeight,
                arrays.Workspace(Cuda.AttentionPool.WorkspaceBytes(batch, time, channels)), type);

            string what = $"{batch}×{time}×{channels}";
            deviceY.Read().ShouldAgreeWith(y.Read().Widen(), type.Forward(), $"{what} y");
            deviceAttention.Read().ShouldAgreeWith(attention.Read().Widen(), Agreement.Forward, $"{what} attention");
            deviceDx.Read().ShouldAgreeWith(dx.Read().Widen(), type.Backward(), $"{what} dx");
            dWeight.Read().ShouldAgreeWith(dw.Read().Widen(), Agreement.Backward, $"{what} dw");
            arrays.Verify();
        }
    }
}
