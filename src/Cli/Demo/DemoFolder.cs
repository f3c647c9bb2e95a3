using CudaTrainer.Engine;

namespace CudaTrainer.Cli.Demo;

/// <summary>The folder of a demo. A marker file says that it is one, so that nothing else is ever replaced.</summary>
internal sealed class DemoFolder
{
    private const string Marker = ".cudatrainer-demo";

    private DemoFolder(string path) => Path = path;

    public string Path { get; }

    public string Dataset => System.IO.Path.Combine(Path, "dataset");

    public string Unseen => System.IO.Path.Combine(Path, "unseen");

    public string Cache => System.IO.Path.Combine(Path, "feature_cache");

    public string Checkpoints => System.IO.Path.Combine(Path, "checkpoints");

    public static DemoFolder At(string path) => new(path);

    /// <summary>
    /// Makes the folder, or clears the clips of an earlier demo from it; its feature cache stays, the clips may be the same.
    /// </summary>
    /// <exception cref="RunException">The folder holds something else, or cannot be made.</exception>
    public void Prepare()
    {
        string marker = System.IO.Path.Combine(Path, Marker);
        try
        {
            Directory.CreateDirectory(Path);
            if (!File.Exists(marker) && Directory.EnumerateFileSystemEntries(Path).Any())
            {
                throw new RunException($"'{Path}' holds something that is not a demo.", "Choose another folder with --output.");
            }

            File.WriteAllText(marker, "Made by cudatrainer demo, which may replace everything in this folder.\n");
            foreach (string clips in new[] { Dataset, Unseen }.Where(Directory.Exists))
            {
                Directory.Delete(clips, recursive: true);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"'{Path}' cannot be used for the demo: {exception.Message}", "Choose another folder with --output.",
                exception);
        }
    }
}
