using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Inference;

/// <summary>How a long video is cut into windows, and from which probabilities on something is called violent.</summary>
public sealed record WindowOptions
{
    [Setting(SettingGroup.Model, "Probability from which a clip, a video or a window of one is called violent; of other classes the " +
        "least of every class, or of some, which then come before the rest: fight=0.2,robbery=0.3",
        AtLeast = 0, AtMost = 1, Default = "chosen on val when training; none for other classes")]
    public Thresholds? Threshold { get; init; }

    [Setting(SettingGroup.Data, "Seconds of each window of a long video, best those of the clips in training; predict gives each video " +
        "one answer without it",
        Above = 0)]
    public double? Window { get; init; }

    [Setting(SettingGroup.Data, "Seconds from the start of one window to the start of the next, at most {Window}",
        Above = 0, Default = "half of {Window}")]
    public double? Stride { get; init; }

    [Setting(SettingGroup.Data, "Seconds of the centred moving average over the windows' probabilities; 0 = none",
        Role = SettingRole.Offline, AtLeast = 0)]
    public double Smooth { get; init; }

    [Setting(SettingGroup.Model, "Probability below which an event ends, at most {Threshold}",
        Role = SettingRole.Offline, AtLeast = 0, AtMost = 1, Default = "the threshold")]
    public double? Release { get; init; }

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [.. OptionValidation.OfSettings(this)];
        if (Threshold?.Values.Any(threshold => Release > threshold) == true)
        {
            problems.Add(new(nameof(Release),
                $"is above {SettingName.Of(nameof(Threshold))}; an event would end before it begins"));
        }

        if (Stride > Window)
        {
            problems.Add(new(nameof(Stride),
                $"is above {SettingName.Of(nameof(Window))}; parts of the video would be in no window"));
        }

        if (Window is null)
        {
            (string Setting, bool IsGiven)[] ofWindows =
                [(nameof(Stride), Stride is not null), (nameof(Smooth), Smooth > 0), (nameof(Release), Release is not null)];
            problems.AddRange(ofWindows.Where(setting => setting.IsGiven)
                .Select(setting => new OptionProblem(setting.Setting, $"needs {SettingName.Of(nameof(Window))}")));
        }

        return problems;
    }
}
