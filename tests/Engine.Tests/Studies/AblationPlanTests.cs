using CudaTrainer.Training.Options;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Engine.Tests.Studies;

public class AblationPlanTests
{
    [Fact]
    public void On_two_gpus_all_eight_rows_add_one_thing_each()
    {
        IReadOnlyList<AblationStep> plan = AblationPlan.Make(isCuda: true, gpus: 2, leaveOneOut: true);

        plan.Take(8).Select(step => step.Name).ShouldBe(
            ["baseline", "+ multi-GPU", "+ FP16", "+ XLA", "+ focal loss", "+ class weights", "+ label smoothing", "+ warm-up and cosine"]);
        plan.ShouldAllBe(step => step.Missing == null);
        for (int i = 1; i < 8; i++)
        {
            plan[i].Before.ShouldBe(i - 1);
            plan[i].With.Except(plan[i - 1].With).Count().ShouldBe(1);
            plan[i - 1].With.Except(plan[i].With).ShouldBeEmpty();
        }

        plan.Skip(8).Count().ShouldBe(7);
        foreach (AblationStep step in plan.Skip(8))
        {
            step.Before.ShouldBe(7);
            step.With.Count.ShouldBe(6);
        }
    }

    [Fact]
    public void What_a_processor_cannot_do_is_said_and_is_in_no_later_row()
    {
        IReadOnlyList<AblationStep> plan = AblationPlan.Make(isCuda: false, gpus: 0, leaveOneOut: true);

        plan.Where(step => step.Missing is not null).Select(step => step.Name).ShouldBe(["+ multi-GPU", "+ XLA"]);
        plan.ShouldAllBe(step => !step.With.Contains(Ingredient.Xla) && !step.With.Contains(Ingredient.MultiGpu));
        plan.Single(step => step.Name == "+ FP16").Before.ShouldBe(0);
        plan.Single(step => step.Name == "+ focal loss").Before.ShouldBe(2);
        plan.Count(step => step.Name.StartsWith("all but ")).ShouldBe(5);
    }

    [Fact]
    public void The_baseline_has_none_of_them_and_the_whole_row_is_the_options_themselves()
    {
        var options = new TrainingOptions { Device = "cuda:0,1", MixedPrecision = true, Xla = true, LabelSmoothing = 0.2, WarmupEpochs = 3, LearningRate = 0.01 };
        IReadOnlyList<AblationStep> plan = AblationPlan.Make(isCuda: true, gpus: 2, leaveOneOut: false);

        TrainingOptions baseline = AblationPlan.Apply(options, plan[0].With);

        baseline.ShouldBe(options with
        {
            Device = "cuda:0",
            MixedPrecision = false,
            Xla = false,
            UseFocalLoss = false,
            UseClassWeights = false,
            LabelSmoothing = 0,
            LrSchedule = LearningRateSchedule.Constant,
            WarmupEpochs = 0,
        });
        AblationPlan.Apply(options, plan[^1].With).ShouldBe(options);
    }
}
