namespace CudaTrainer.Training.Options;

/// <summary>
/// The backbone that comes as a package of its own: ResNet-18 (He et al. 2015, arXiv:1512.03385), trained on ImageNet, of the NuGet package
/// Microsoft.ML.DnnImageFeaturizer.ResNet18 (MIT). Not part of the program; a command brings it.
/// </summary>
internal static class Resnet18
{
    public const string Name = "resnet18";

    /// <summary>What brings it.</summary>
    public const string Setup = "scripts/setup.sh --resnet18";

    /// <summary>Of the package's ResNet18.onnx.</summary>
    public const string Sha256 = "e2552f19db2dfdb01b3669537b6a0f1b44da38d18279535492ed5dfc2ef1ff8f";

    /// <summary>
    /// What the package's ResNetPreprocess.onnx does, but for one thing: that takes a mean picture from frames, and these are its means of
    /// each channel, from which it differs by no more than 13 of 255.
    /// </summary>
    public const string Input = "bgr scale=1 mean=103.0626,115.9029,123.1516 deviation=1";

    /// <summary>Where the file is put, whether or not it is there: in <c>CUDATRAINER_BACKBONES</c>, else beside the other things that the
    /// program keeps for its user.</summary>
    public static string Path
    {
        get
        {
            string cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } home
                ? home
                : System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
            string folder = Environment.GetEnvironmentVariable("CUDATRAINER_BACKBONES") is { Length: > 0 } given
                ? given
                : System.IO.Path.Combine(cache, "cudatrainer", "backbones");
            return System.IO.Path.Combine(folder, "resnet18.onnx");
        }
    }
}
