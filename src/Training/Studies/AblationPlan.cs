using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Studies;

/// <summary>One of the optimisations that are judged.</summary>
internal enum Ingredient
{
    MultiGpu,
    MixedPrecision,
    Xla,
    FocalLoss,
    ClassWeights,
    LabelSmoothing,
    Schedule,
}

/// <summary>A row of the table.</summary>
/// <param name="Name">For a person.</param>
/// <param name="With">What is switched on.</param>
/// <param name="Before">The row that it is compared with, by its place; −1 = none.</param>
/// <param name="Missing">Why it cannot be run here; null if it can.</param>
internal sealed record AblationStep(string Name, IReadOnlySet<Ingredient> With, int Before, string? Missing);

/// <summary>
/// The rows of an ablation: the baseline, then each optimisation added to all before it, then everything but one. What this machine cannot
/// do is a row without numbers, and is left out of the rows after it.
/// </summary>
internal static class AblationPlan
{
    private static readonly (Ingredient Ingredient, string Name)[] Order =
    [
        (Ingredient.MultiGpu, "multi-GPU"), (Ingredient.MixedPrecision, "FP16"), (Ingredient.Xla, "XLA"),
        (Ingredient.FocalLoss, "focal loss"), (Ingredient.ClassWeights, "class weights"),
        (Ingredient.LabelSmoothing, "label smoothing"), (Ingredient.Schedule, "warm-up and cosine"),
    ];

    /// <param name="isCuda">Whether trainings run on GPUs.</param>
    /// <param name="gpus">How many there are to use.</param>
    /// <param name="leaveOneOut">Whether the rows with everything but one follow.</param>
    public static IReadOnlyList<AblationStep> Make(bool isCuda, int gpus, bool leaveOneOut)
    {
        List<AblationStep> rows = [new("baseline", new HashSet<Ingredient>(), -1, null)];
        HashSet<Ingredient> with = [];
        int before = 0;
        foreach ((Ingredient ingredient, string name) in Order)
        {
            string? missing = Missing(ingredient);
            if (missing is null)
            {
                with.Add(ingredient);
            }

            rows.Add(new AblationStep("+ " + name, new HashSet<Ingredient>(with), before, missing));
            before = missing is null ? rows.Count - 1 : before;
        }

        if (leaveOneOut)
        {
            foreach ((Ingredient ingredient, string name) in Order)
            {
                if (with.Contains(ingredient))
                {
                    rows.Add(new AblationStep("all but " + name, with.Where(other => other != ingredient).ToHashSet(), before, null));
                }
            }
        }

        return rows;

        string? Missing(Ingredient ingredient) => ingredient switch
        {
            Ingredient.MultiGpu when gpus < 2 => isCuda ? "needs two GPUs, this machine has one" : "needs two GPUs, this machine has none",
            Ingredient.Xla when !isCuda => "CUDA graphs: without effect on a processor",
            _ => null,
        };
    }

    /// <summary>The options with exactly these ingredients; their strengths are those of <paramref name="options"/>.</summary>
    public static TrainingOptions Apply(TrainingOptions options, IReadOnlySet<Ingredient> with)
    {
        bool schedule = with.Contains(Ingredient.Schedule);
        return options with
        {
            Device = with.Contains(Ingredient.MultiGpu) ? options.Device : OneDevice(options.Device),
            MixedPrecision = with.Contains(Ingredient.MixedPrecision),
            Xla = with.Contains(Ingredient.Xla),
            UseFocalLoss = with.Contains(Ingredient.FocalLoss),
            UseClassWeights = with.Contains(Ingredient.ClassWeights),
            LabelSmoothing = with.Contains(Ingredient.LabelSmoothing) ? options.LabelSmoothing : 0,
            LrSchedule = schedule ? LearningRateSchedule.Cosine : LearningRateSchedule.Constant,
            WarmupEpochs = schedule ? options.WarmupEpochs : 0,
        };
    }

    private static string OneDevice(string device) => device switch
    {
        "cuda" => "cuda:0",
        _ when device.StartsWith("cpu:", StringComparison.Ordinal) => "cpu",
        _ => device.Split(',')[0],
    };
}
