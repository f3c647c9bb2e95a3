using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Unscaling, Adam and the step state, against the CPU's kernels.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class CudaOptimizerTests(CudaFixture fixture)
{
    /// <summary>Boundaries in the middle of vectors and stretches, empty parameters, one longer than several stretches.</summary>
    private static readonly long[][] Segmentations =
    [
        [0, 1], [0, 3], [0, 0, 5, 5, 9], [0, 2_048], [0, 2_047, 2_048, 2_049], [0, 7, 4_096, 4_100],
        [0, 10_001, 10_003, 10_064, 10_064, 10_192], [0, 0], [0, 31, 32, 33, 127, 128, 129, 257, 3_000],
    ];

    public static TheoryData<ClipMode, bool, double> Modes
    {
        get
        {
            var data = new TheoryData<ClipMode, bool, double>();
            foreach (ClipMode mode in Enum.GetValues<ClipMode>())
            {
                data.Add(mode, false, 0);
                data.Add(mode, true, 0);
                data.Add(mode, false, 3);
                data.Add(mode, true, 3);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void Three_steps_agree_with_the_cpu(ClipMode mode, bool misaligned, double weightDecay)
    {
        var unscale = new Cuda.GradientUnscale(fixture.Library);
        var adam = new Cuda.Adam(fixture.Library);
        using var team = new ThreadTeam(1, SimdSelection.Current);
        var options = new AdamOptions { ClipMode = mode, ClipNorm = 0.7f, WeightDecay = weightDecay };
        foreach (long[] segments in Segmentations)
        {
            int count = (int)segments[^1], parameters = segments.Length - 1;
            using var buffers = new Buffers();
            using var arrays = new DeviceArrays(fixture, CudaType.Float32, misaligned);
            using var halves = new DeviceArrays(fixture, CudaType.Float16, misaligned);
            var state = new StepState { LossScale = 512, LearningRate = 0.01f };
            GuardedBuffer<long> offsets = buffers.Of(segments);
            GuardedBuffer<float> weights = buffers.Of(Numbers.Random(count, 100)), first = buffers.Of(new float[count]),
                second = buffers.Of(new float[count]), norms = buffers.Output(parameters);
            GuardedBuffer<Half> half = buffers.Uninitialised<Half>(count);
            float[] decaying = [.. Enumerable.Range(0, parameters).Select(parameter => parameter % 2 == 0 ? 1f : 0f)];
            GuardedBuffer<float> decays = buffers.Of(decaying);

            DeviceArray deviceState = arrays.UpdatedRaw(state), deviceSegments = arrays.Raw(segments),
                deviceNorms = arrays.OutputFloats(parameters), deviceDecays = arrays.Floats(decaying);
            DeviceArray deviceWeights = arrays.Updated(Numbers.Random(count, 100)), deviceFirst = arrays.Updated(new float[count]),
                deviceSecond = arrays.Updated(new float[count]);
            DeviceArray deviceHalf = halves.Output(count);
            for (int step = 1; step <= 3; step++)
            {
                float[] gradients = [.. Numbers.Random(count, step, 512).Select((g, i) => i < 3_000 ? g : g * 0.001f)];
                GuardedBuffer<float> scaled = buffers.Of(gradients);
                Cpu.GradientUnscale.Run(team, parameters, offsets, scaled, norms, &state);
                Cpu.Adam.Step(team, parameters, offsets, weights, scaled, first, second, half, norms, decays, &state, options);

                DeviceArray deviceGradients = arrays.Updated(gradients);
                unscale.Run(
                    fixture.Stream, parameters, count, deviceGradients, deviceSegments, deviceNorms, deviceState,
                        arrays.Workspace(Cuda.GradientUnscale.WorkspaceBytes(parameters, count)));
                deviceGradients.Read().ShouldBeTheSameBitsAs(scaled.Read(), "gradients");
                adam.Step(
                    fixture.Stream, parameters, count, deviceWeights, deviceGradients, deviceFirst, deviceSecond, deviceSegments,
                    deviceNorms, weightDecay > 0 ? deviceDecays : 0, step == 2 ? 0 : deviceHalf, deviceState,
                    arrays.Workspace(Cuda.Adam.WorkspaceBytes), options);
                deviceGradients.Read().ShouldBeTheSameBitsAs(scaled.Read(), "gradients after the step");
            }

            string what = string.Join(",", segments);
            deviceNorms.Read().ShouldAgreeWith(norms.Read().Widen(), Agreement.Forward, $"{what} norms");
            deviceFirst.Read().ShouldAgreeWith(first.Read().Widen(), Agreement.Forward, $"{what} m");
            deviceSecond.Read().ShouldAgreeWith(second.Read().Widen(), Agreement.Forward, $"{what} v");
            deviceWeights.Read().ShouldAgreeWith(weights.Read().Widen(), Agreement.Forward, $"{what} weights");
            deviceHalf.Read<Half>().ShouldBe(deviceWeights.Read().Select(value => (Half)value));
            StepState after = deviceState.Read<StepState>()[0];
            new[] { after.GradientNorm }.ShouldAgreeWith([state.GradientNorm], Agreement.Forward, $"{what} norm of all");
            (after with { GradientNorm = 0 }).ShouldBe(state with { GradientNorm = 0 });
            arrays.Verify();
            halves.Verify();
        }
    }

    [Theory]
    [InlineData(float.NaN, 0)]
    [InlineData(float.PositiveInfinity, 2_047)]
    [InlineData(float.NegativeInfinity, 2_048)]
    [InlineData(float.NaN, 5_000)]
    [InlineData(float.PositiveInfinity, 6_002)]
    public void One_bad_gradient_skips_the_step(float bad, int place)
    {
        const int Count = 6_003;
        var unscale = new Cuda.GradientUnscale(fixture.Library);
        var adam = new Cuda.Adam(fixture.Library);
        using var arrays = new DeviceArrays(fixture);
        float[] gradients = Numbers.Random(Count, 1), weights = Numbers.Random(Count, 2), first = Numbers.Random(Count, 3),
            second = Numbers.Random(Count, 4);
        gradients[place] = bad;
        var before = new StepState { LossScale = 4, LearningRate = 1, AdamSteps = 7 };
        DeviceArray state = arrays.UpdatedRaw(before), segments = arrays.Raw(0L, 100, Count), norms = arrays.OutputFloats(2),
            deviceGradients = arrays.UpdatedFloats(gradients);
        DeviceArray halves = arrays.Raw(new Half[Count]);
        unscale.Run(fixture.Stream, 2, Count, deviceGradients, segments, norms, state,
            arrays.Workspace(Cuda.GradientUnscale.WorkspaceBytes(2, Count)));

        // What must not change is given as inputs.
        adam.Step(
            fixture.Stream, 2, Count, arrays.Floats(weights), deviceGradients, arrays.Floats(first), arrays.Floats(second), segments,
            norms, 0, halves, state,
            arrays.Workspace(Cuda.Adam.WorkspaceBytes), new AdamOptions());
        StepState after = state.Read<StepState>()[0];
        after.FoundNonFinite.ShouldBe(1);
        float.IsFinite(after.GradientNorm).ShouldBeFalse();
        after.AdamSteps.ShouldBe(7);
        float[] parts = norms.Read();
        float.IsFinite(parts[place < 100 ? 0 : 1]).ShouldBeFalse();
        float.IsFinite(parts[place < 100 ? 1 : 0]).ShouldBeTrue();
        arrays.Verify();
    }

    [Fact]
    public void Large_gradients_are_finite_although_their_squares_are_not()
    {
        var unscale = new Cuda.GradientUnscale(fixture.Library);
        var adam = new Cuda.Adam(fixture.Library);
        using var arrays = new DeviceArrays(fixture);
        DeviceArray state = arrays.UpdatedRaw(new StepState { LossScale = 1, FoundNonFinite = 1 }), norms = arrays.OutputFloats(1);
        unscale.Run(fixture.Stream, 1, 2, arrays.Floats(3e30f, 4e30f), arrays.Raw(0L, 2), norms, state,
            arrays.Workspace(Cuda.GradientUnscale.WorkspaceBytes(1, 2)));
        norms.Read().ShouldAgreeWith([5e30], Agreement.Forward, "norm");
        state.Read<StepState>()[0].FoundNonFinite.ShouldBe(0);
        arrays.Verify();
    }

    /// <summary>
    /// What one replica writes and reads back is what the processor writes and reads; an idle replica's buffers are not looked at.
    /// </summary>
    [Theory]
    [InlineData(0, 0.5f)]
    [InlineData(1, 1)]
    [InlineData(1537, 0.25f)]
    [InlineData(1537, 0)]
    public void Shared_numbers_are_those_of_the_cpu(int count, float share)
    {
        var op = new Cuda.StepControl(fixture.Library);
        using var arrays = new DeviceArrays(fixture);
        var first = new StepState { Loss = 0.75f, Correct = 5, StopRequests = 1, LossScale = 2 };
        float[] values = Numbers.Random(count, 3);
        if (share == 0)
        {
            values[7] = float.NaN;
        }

        float[] expected = new float[count + 4];
        fixed (float* buffers = values, shared = expected)
        {
            SharedStep.Write(&first, count, buffers, share, shared);
        }

        DeviceArray state = arrays.UpdatedRaw(first), moved = arrays.UpdatedFloats(values), written = arrays.OutputFloats(count + 4);
        op.WriteShared(fixture.Stream, state, count, moved, share, written);
        written.Read<float>().ShouldBe(expected);
        for (int i = 0; i < expected.Length; i++)
        {
            expected[i] *= 3;
        }

        DeviceArray sum = arrays.Floats(expected);
        op.ReadShared(fixture.Stream, sum, state, count, moved);
        state.Read<StepState>()[0].ShouldBe(first with { Loss = 2.25f, Correct = 15, StopRequests = 3 });
        moved.Read<float>().ShouldBe(expected[4..]);
        fixed (float* buffers = values, shared = expected)
        {
            SharedStep.Read(shared, &first, count, buffers);
        }

        values.ShouldBe(expected[4..]);
        first.Correct.ShouldBe(15);
        arrays.Verify();
    }

    [Fact]
    public void The_state_begins_a_step_and_moves_the_scale_as_on_the_cpu()
    {
        var op = new Cuda.StepControl(fixture.Library);
        using var arrays = new DeviceArrays(fixture);
        var expected = new StepState { LossScale = 4, Loss = 3, Correct = 2 };
        DeviceArray state = arrays.UpdatedRaw(expected);
        op.BeginStep(fixture.Stream, state, arrays.Floats(0.125f, 1));
        expected.LearningRate = 0.125f;
        expected.StopRequests = 1;
        expected.Loss = 0;
        expected.Correct = 0;
        state.Read<StepState>()[0].ShouldBe(expected);

        // Three good steps double the scale, up to 16; overflows halve it, down to 1.
        bool[] overflows = [false, false, false, true, false, false, false, false, false, false, false, false, false, true, true, true,
            true, true, true, false];
        foreach (bool overflow in overflows)
        {
            expected = state.Read<StepState>()[0] with { FoundNonFinite = overflow ? 1 : 0 };
            DeviceArray step = arrays.UpdatedRaw(expected);
            op.UpdateLossScale(fixture.Stream, step, enabled: true, growthInterval: 3, minimum: 1, maximum: 16);
            Cpu.LossScale.Update(&expected, growthInterval: 3, minimum: 1, maximum: 16);
            step.Read<StepState>()[0].ShouldBe(expected);
            state = step;
        }

        state.Read<StepState>()[0].LossScale.ShouldBe(1);
        arrays.Verify();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Without_scaling_the_scale_stays(bool overflow)
    {
        var op = new Cuda.StepControl(fixture.Library);
        using var arrays = new DeviceArrays(fixture);
        DeviceArray state = arrays.UpdatedRaw(new StepState { LossScale = 1, FoundNonFinite = overflow ? 1 : 0, ConsecutiveSkips = 4 });
        op.UpdateLossScale(fixture.Stream, state, enabled: false, growthInterval: 1);
        StepState after = state.Read<StepState>()[0];
        (after.LossScale, after.StepLossScale).ShouldBe((1, 1));
        (after.SkippedSteps, after.ConsecutiveSkips).ShouldBe(overflow ? (1, 5) : (0, 0));
        arrays.Verify();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Values_are_restored_after_a_skipped_step_only(bool misaligned)
    {
        var op = new Cuda.StepControl(fixture.Library);
        foreach (int length in CudaTolerance.Lengths)
        {
            using var arrays = new DeviceArrays(fixture, CudaType.Float32, misaligned);
            float[] before = Numbers.Random(length, 1);
            DeviceArray kept = arrays.Input(before), values = arrays.Updated(Numbers.Random(length, 2));
            op.RestoreIfSkipped(fixture.Stream, length, arrays.Input(Numbers.Random(length, 3)), kept, arrays.Raw(new StepState()));
            op.RestoreIfSkipped(fixture.Stream, length, values, kept, arrays.Raw(new StepState { FoundNonFinite = 1 }));
            values.Read().ShouldBeTheSameBitsAs(before, "values");
            arrays.Verify();
        }
    }
}
