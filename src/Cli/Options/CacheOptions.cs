using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.Options;

/// <summary>What the options of the <c>cache</c> commands have in common.</summary>
internal static class CacheOptions
{
    public const string FolderDescription = "The feature cache";

    public const string JsonDescription = "One JSON object on standard output";

    public static string DefaultFolder { get; } = new FeatureOptions().CacheDir;

    public static ValueType<string> Folder { get; } = ValueTypes.Text("DIR", "folder");
}
