using System.Reflection;
using System.Runtime.InteropServices;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Cpu.Simd;

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
/// <param name="Label"><c>violent</c> or <c>nonviolent</c>.</param>
/// <param name="Reason">For example <c>truncated</c>.</param>
public sealed record LeftOutClip(string Path, string Label, string Reason);

/// <summary>The clips of one split.</summary>
/// <param name="Nonviolent">That were used.</param>
/// <param name="Violent">That were used.</param>
/// <param name="Sources">What the clips were cut from; null for features without a list of videos.</param>
/// <param name="LeftOut">Clips that could not be decoded, or stand in the data as zeros.</param>
public sealed record SplitSummary(string Split, int Nonviolent, int Violent, int? Sources, IReadOnlyList<LeftOutClip> LeftOut)
{
    private const int Path = 0, Label = 1, Source = 2, Status = 3;

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

        return new SplitSummary(
            set.Split.Name(),
            set.Classes.Nonviolent,
            set.Classes.Violent,
            clips.Count == 0 ? null : clips.Select(clip => clip.Fields[Source]).Distinct(StringComparer.Ordinal).Count(),
            [.. clips.Where(clip => clip.Fields[Status] != "ok")
                .Select(clip => new LeftOutClip(clip.Fields[Path], clip.Fields[Label], clip.Fields[Status]))]);
    }
}
