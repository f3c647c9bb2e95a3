using CudaTrainer.Data.Video;

namespace CudaTrainer.Synthetic;

/// <summary>What <see cref="DemoClips.Render"/> left on disk.</summary>
/// <param name="DatasetDirectory">Has the class folders <c>violent/</c> and <c>nonviolent/</c>, and <c>sources.csv</c>.</param>
/// <param name="UnseenDirectory">Clips for prediction, named after what they show.</param>
/// <param name="Labelled">The clips of the dataset that decode.</param>
/// <param name="Unseen">The clips of <paramref name="UnseenDirectory"/>.</param>
/// <param name="Broken">The files that do not, with the fault a reader must find.</param>
/// <param name="MissingCodecs">Codecs that would have been used had FFmpeg been built with them.</param>
public sealed record DemoClipSet(
    string DatasetDirectory,
    string UnseenDirectory,
    IReadOnlyList<DemoClip> Labelled,
    IReadOnlyList<DemoClip> Unseen,
    IReadOnlyList<BrokenClip> Broken,
    IReadOnlyList<VideoCodec> MissingCodecs);

/// <summary>One rendered clip.</summary>
/// <param name="Path">Full path.</param>
/// <param name="IsViolent">The label.</param>
/// <param name="Activity">What the two people do, such as <c>kicking</c> or <c>hug</c>.</param>
/// <param name="Source">The place, shared by clips that must stay in one split.</param>
/// <param name="Frames">Number of frames.</param>
public sealed record DemoClip(string Path, bool IsViolent, string Activity, string Source, int Frames);

/// <summary>One file broken on purpose.</summary>
public sealed record BrokenClip(string Path, bool IsViolent, string Source, VideoFault Fault);

/// <summary>How far rendering is, in clips.</summary>
public readonly record struct DemoProgress(int Done, int Total);
