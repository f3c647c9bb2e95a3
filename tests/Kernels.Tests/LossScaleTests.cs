using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class LossScaleTests
{
    [Fact]
    public void Doubles_after_a_run_of_good_steps()
    {
        var state = new StepState { LossScale = 8 };
        float[] scales = [.. Enumerable.Range(0, 7).Select(_ => Step(ref state, good: true))];
        scales.ShouldBe([8, 8, 16, 16, 16, 32, 32]);
        state.SkippedSteps.ShouldBe(0);
    }

    [Fact]
    public void Halves_on_overflow_and_starts_the_run_again()
    {
        var state = new StepState { LossScale = 8 };
        float[] scales = [.. new[] { true, true, false, true, true, true, false, false }.Select(good => Step(ref state, good))];
        scales.ShouldBe([8, 8, 4, 4, 4, 8, 4, 2]);
        state.SkippedSteps.ShouldBe(3);
        state.ConsecutiveSkips.ShouldBe(2);
        Step(ref state, good: true);
        state.ConsecutiveSkips.ShouldBe(0);
    }

    [Fact]
    public void Stays_within_its_bounds()
    {
        var low = new StepState { LossScale = 1 };
        Step(ref low, good: false).ShouldBe(1);
        var high = new StepState { LossScale = LossScale.DefaultMaximum, GoodSteps = LossScale.DefaultGrowthInterval - 1 };
        LossScale.Update(&high);
        high.LossScale.ShouldBe(16_777_216);
        high.GoodSteps.ShouldBe(0);
    }

    [Fact]
    public void Disabled_it_only_counts()
    {
        var state = new StepState { LossScale = 1, FoundNonFinite = 1 };
        LossScale.Update(&state, enabled: false);
        state.LossScale.ShouldBe(1);
        state.SkippedSteps.ShouldBe(1);
        state.FoundNonFinite = 0;
        LossScale.Update(&state, growthInterval: 1, enabled: false);
        state.LossScale.ShouldBe(1);
        state.GoodSteps.ShouldBe(1);
    }

    [Fact]
    public void The_state_is_twelve_32_bit_fields_in_order()
    {
        sizeof(StepState).ShouldBe(48);
        var state = default(StepState);
        ((byte*)&state.ConsecutiveSkips - (byte*)&state).ShouldBe(32);
        ((byte*)&state.FoundNonFinite - (byte*)&state).ShouldBe(16);
        ((byte*)&state.StepLossScale - (byte*)&state).ShouldBe(40);
        ((byte*)&state.StopRequests - (byte*)&state).ShouldBe(44);
    }

    private static float Step(ref StepState state, bool good)
    {
        state.FoundNonFinite = good ? 0 : 1;
        fixed (StepState* pointer = &state)
        {
            LossScale.Update(pointer, growthInterval: 3);
        }

        return state.LossScale;
    }
}
