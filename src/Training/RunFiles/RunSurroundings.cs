using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Training.RunFiles;

/// <summary>What a run ran on.</summary>
/// <param name="Version">Of this engine, with the commit it was built from where that is known.</param>
/// <param name="Finished">When this was noted, in UTC.</param>
/// <param name="Cores">That this process may use.</param>
/// <param name="Simd">The level of the CPU kernels.</param>
public sealed record RunEnvironment(string Version, DateTime Finished, string Runtime, string System, string Processor, int Cores,
    string Simd)
{
    internal static RunEnvironment Current() => new(
        typeof(RunEnvironment).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
            ?? ThisAssembly.Version,
        DateTime.UtcNow,
        RuntimeInformation.FrameworkDescription,
        $"{RuntimeInformation.OSDescription}, {RuntimeInformation.OSArchitecture}",
        Machine.ProcessorName,
        Environment.ProcessorCount,
        SimdSelection.Current.ToString().ToLowerInvariant());
}

/// <param name="Path">Below the dataset's folder.</param>
/// <param name="Label">Its class.</param>
/// <param name="Reason">For example <c>truncated</c>.</param>
public sealed record LeftOutClip(string Path, string Label, string Reason);

/// <summary>The clips of one split.</summary>
/// <param name="Nonviolent">That were used; 0, and not in files, where the classes are others than the known pair.</param>
/// <param name="Violent">The same.</param>
/// <param name="Sources">What the clips were cut from; null for features without a list of videos.</param>
/// <param name="LeftOut">Clips that could not be decoded, or stand in the data as zeros.</param>
public sealed record SplitSummary(
    string Split,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Nonviolent,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Violent,
    int? Sources,
    IReadOnlyList<LeftOutClip> LeftOut)
{
    private const int Path = 0, Label = 1, Source = 2, Status = 3;

    /// <summary>Clips of each class by its name; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, int>? Classes { get; init; }

    /// <summary>Clips of each class, whatever the classes are.</summary>
    [JsonIgnore]
    public IReadOnlyDictionary<string, int> Clips => new SplitRow(Split, Nonviolent, Violent, 0, 0) { Classes = Classes }.Clips;

    /// <summary>What the split and the list of videos beside it say.</summary>
    internal static SplitSummary Of(FeatureSet set)
    {
        string videos = new SplitFiles(global::System.IO.Path.GetDirectoryName(set.Path)!, set.Split).Videos;
        IReadOnlyList<CsvRecord> clips = [];
        try
        {
            clips = File.Exists(videos) ? [.. CsvFile.Read(videos).Skip(1).Where(record => record.Fields.Count > Status)] : [];
        }
        catch (Exception exception) when (exception is FileFormatException or IOException)
        {
            // Someone else's list may look different; the features say what is needed.
        }

        var counts = SplitRow.Of(set.Split.Name(), set.ClassList, set.Classes, 0, 0);
        return new SplitSummary(
            counts.Split,
            counts.Nonviolent,
            counts.Violent,
            clips.Count == 0 ? null : clips.Select(clip => clip.Fields[Source]).Distinct(StringComparer.Ordinal).Count(),
            [.. clips.Where(clip => clip.Fields[Status] != "ok")
                .Select(clip => new LeftOutClip(clip.Fields[Path], clip.Fields[Label], clip.Fields[Status]))])
        {
            Classes = counts.Classes,
        };
    }
}
