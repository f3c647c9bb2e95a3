using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Inference;

/// <summary>
/// What the members of an ensemble take together. Members that look at different streams are late fusion (Simonyan and Zisserman 2014,
/// "Two-stream convolutional networks for action recognition in videos", arXiv:1406.2199): each answers from its own features, which are
/// parts of those of both streams.
/// </summary>
internal static class StreamUnion
{
    private const string And = " + ", Unknown = "unknown";

    /// <returns>The first member's facts, with the features that are enough for all.</returns>
    /// <exception cref="RunException">A member cannot answer for the same clips as the ones before it; the message names both
    /// files.</exception>
    public static ModelInfo Of(IReadOnlyList<ModelInfo> members, IReadOnlyList<string> files)
    {
        int rgb = First(info => info.Stream.HasRgb()), motion = First(info => info.Stream.HasMotion());
        for (int m = 1; m < members.Count; m++)
        {
            Require(m, 0, Common);
            if (members[m].Stream.HasRgb())
            {
                Require(m, rgb, Appearance);
            }

            if (members[m].Stream.HasMotion())
            {
                Require(m, motion, Motion);
            }
        }

        if (rgb < 0 || motion < 0)
        {
            return members[0];
        }

        ModelInfo seen = AppearanceOf(members[rgb]);
        string moves = MotionOf(members[motion]);
        return members[0] with
        {
            Stream = FeatureStream.Both,
            Inputs = FeatureStream.Both.Dimension(seen.Inputs),
            Backbone = seen.Backbone == Unknown || moves == Unknown ? Unknown : seen.Backbone + And + moves,
            BackboneDescription = seen.BackboneDescription + And + MotionFeatures.Description,
            Preprocess = seen.Preprocess,
        };

        int First(Func<ModelInfo, bool> takes) =>
            members.Select((info, m) => (info, m)).Where(pair => takes(pair.info)).Select(pair => pair.m).DefaultIfEmpty(-1).First();

        void Require(int other, int first, Func<ModelInfo, IReadOnlyList<(string What, string Is)>> facts)
        {
            string[] differences = [.. facts(members[other]).Zip(facts(members[first])).Where(pair => pair.First != pair.Second)
                .Select(pair => $"{pair.First.What} {pair.First.Is} instead of {pair.Second.Is}")];
            if (differences.Length > 0)
            {
                throw new RunException($"'{files[other]}' cannot answer together with '{files[first]}': {string.Join("; ", differences)}.",
                    "Members of an ensemble are trained on the same features, or on both streams of the same clips.");
            }
        }
    }

    /// <summary>What a member is once it takes the features of all.</summary>
    public static ModelInfo Widened(ModelInfo member, ModelInfo all) => member with
    {
        Stream = all.Stream,
        Inputs = all.Inputs,
        Backbone = all.Backbone,
        BackboneDescription = all.BackboneDescription,
        Preprocess = all.Preprocess,
    };

    /// <summary>Where a member's features begin in a frame of both streams.</summary>
    public static int FirstOf(ModelInfo member, ModelInfo all) => member.Stream == FeatureStream.Motion ? AppearanceOf(all).Inputs : 0;

    private static IReadOnlyList<(string What, string Is)> Common(ModelInfo info) =>
        [("frames a clip", $"{info.Frames}"), ("classes", string.Join(", ", info.Classes))];

    private static IReadOnlyList<(string What, string Is)> Appearance(ModelInfo info) =>
        [("features a frame", $"{AppearanceOf(info).Inputs}"), ("backbone", AppearanceOf(info).Backbone),
            ("preprocessing", info.Preprocess)];

    private static IReadOnlyList<(string What, string Is)> Motion(ModelInfo info) => [("motion", MotionOf(info))];

    /// <summary>The facts of the appearance alone.</summary>
    private static ModelInfo AppearanceOf(ModelInfo info) => info.Stream != FeatureStream.Both
        ? info
        : info with
        {
            Inputs = info.Inputs - MotionFeatures.PerStep,
            Backbone = Parts(info.Backbone).Appearance,
            BackboneDescription = Parts(info.BackboneDescription).Appearance
        };

    /// <summary>The identity of the motion alone.</summary>
    private static string MotionOf(ModelInfo info) => info.Stream == FeatureStream.Both ? Parts(info.Backbone).Motion : info.Backbone;

    /// <summary>What of both streams is said in one line; features from elsewhere are unknown in both.</summary>
    private static (string Appearance, string Motion) Parts(string both)
    {
        int and = both.LastIndexOf(And, StringComparison.Ordinal);
        return and < 0 ? (both, both) : (both[..and], both[(and + And.Length)..]);
    }
}
