using CudaTrainer.Engine.Optim;
using Monitor = CudaTrainer.Training.Options.Monitor;

namespace CudaTrainer.Engine.Tests.Training;

public class ScheduleTests
{
    [Fact]
    public void The_learning_rate_rises_linearly_and_falls_as_a_cosine()
    {
        WarmupCosine schedule = new(Peak: 1, Minimum: 0.2, WarmupSteps: 4, TotalSteps: 12);

        Enumerable.Range(0, 4).Select(step => schedule.At(step)).ShouldBe([0.25, 0.5, 0.75, 1]);
        schedule.At(4).ShouldBe(1);
        schedule.At(6).ShouldBe(0.2 + (0.8 * 0.5 * (1 + Math.Cos(Math.PI / 4))), 1e-12);
        schedule.At(8).ShouldBe(0.6, 1e-12);
        schedule.At(12).ShouldBe(0.2, 1e-12);
        schedule.At(1000).ShouldBe(0.2, 1e-12);
    }

    [Fact]
    public void Without_warm_up_it_begins_at_its_peak() => new WarmupCosine(0.5, 0, 0, 10).At(0).ShouldBe(0.5);

    [Fact]
    public void Warm_up_longer_than_the_run_only_rises()
    {
        WarmupCosine schedule = new(1, 0, WarmupSteps: 20, TotalSteps: 10);
        Enumerable.Range(0, 10).Select(step => schedule.At(step)).ShouldBe(Enumerable.Range(1, 10).Select(step => step / 20.0));
    }

    [Theory]
    [InlineData("val_accuracy", 0.6, 0.5, true)]
    [InlineData("val_accuracy", 0.5, 0.5, false)]
    [InlineData("val_auc", 0.4, 0.5, false)]
    [InlineData("val_loss", 0.4, 0.5, true)]
    [InlineData("val_loss", 0.6, 0.5, false)]
    [InlineData("val_loss", double.NaN, 0.5, false)]
    [InlineData("val_auc", double.NaN, 0.5, false)]
    [InlineData("val_auc", 0, double.NaN, true)]
    public void The_monitor_knows_which_way_is_better(string name, double value, double best, bool improves) =>
        new Monitor(name).Improves(value, best).ShouldBe(improves);

    [Fact]
    public void An_unknown_quantity_is_an_error_that_lists_the_known_ones() =>
        Should.Throw<ArgumentException>(() => new Monitor("accuracy")).Message.ShouldContain("val_balanced_accuracy");
}
