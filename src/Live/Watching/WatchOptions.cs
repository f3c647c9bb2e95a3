using CudaTrainer.Formats;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Live.Watching;

/// <summary>What <see cref="Wall"/> watches, and how.</summary>
public sealed record WatchOptions
{
    /// <summary>Seconds.</summary>
    private const double LeastStride = 0.04;

    /// <summary>
    /// The model and how it answers. Paths are those of the cameras; <see cref="WindowOptions.Window"/> is always set.
    /// </summary>
    [Settings(Except = SettingRole.Offline)]
    public PredictionOptions Prediction { get; init; } = new() { Windows = new() { Window = 2 } };

    /// <summary>What is an event, what is saved of it, who is told.</summary>
    [Settings]
    public EventOptions Events { get; init; } = new();

    [Setting(SettingGroup.Model, "Probability below which an event ends, at most the threshold of its camera",
        AtLeast = 0, AtMost = 1, Default = "the threshold")]
    public double? Release { get; init; }

    [Setting(SettingGroup.Data, "Table of cameras: name,address and, where wanted, checkpoint,threshold,zone (docs/live.md); for " +
        "addresses with passwords, which everybody on the machine sees on a command line",
        Placeholder = "FILE", Kind = "CSV file")]
    public string? Cameras { get; init; }

    [Setting(SettingGroup.Data, "The part of each picture that is looked at, for cameras whose table names none: " +
        "left,top,width,height in fractions of it",
        Kind = "list", Placeholder = "ZONE")]
    public string? Zone { get; init; }

    [Setting(SettingGroup.Data, "Read files as fast as they can be computed, leaving nothing out; otherwise they run like a camera",
        Role = SettingRole.Offline)]
    public bool Fast { get; init; }

    [Setting(SettingGroup.Data, "Seconds that video may come late before it is passed over up to the next keyframe",
        Above = 0, AtMost = 3600)]
    public double Late { get; init; } = 2;

    [Setting(SettingGroup.Data, "Seconds without a frame after which a camera is connected to again", Above = 0, AtMost = 3600)]
    public double Stall { get; init; } = 15;

    [Setting(SettingGroup.Data, "End after so many seconds; 0 = when every file is over, or when stopped",
        Role = SettingRole.Offline, AtLeast = 0, AtMost = 1e8)]
    public double For { get; init; }

    /// <summary>Windows of each camera.</summary>
    public WindowPlan Plan => WindowPlan.Of(Prediction.Windows)!.Value;

    /// <summary>What is wrong with addresses of cameras; null if nothing is.</summary>
    public static string? ProblemOf(IReadOnlyList<string> addresses)
    {
        try
        {
            CameraList.Of(addresses);
            return null;
        }
        catch (FormatException exception)
        {
            return exception.Message;
        }
    }

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [.. OptionValidation.OfSettings(this), .. Prediction.Validate(), .. Events.Validate()];
        if (Prediction.Windows.Threshold?.Values.Any(threshold => Release > threshold) == true)
        {
            problems.Add(new(nameof(Release),
                $"is above {SettingName.Of(nameof(WindowOptions.Threshold))}; an event would end before it begins"));
        }

        if (Plan.Stride < LeastStride)
        {
            problems.Add(new(nameof(WindowOptions.Stride), $"is less than a frame lasts; give {LeastStride} or more"));
        }

        if (Zone is not null)
        {
            try
            {
                CameraList.ZoneOf(Zone);
            }
            catch (FormatException exception)
            {
                problems.Add(new(nameof(Zone), exception.Message));
            }
        }

        return problems;
    }
}
