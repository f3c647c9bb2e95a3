namespace CudaTrainer.Cli.Tests;

internal static class Repository
{
    /// <summary>The folder of the solution, above the test's own.</summary>
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    private static string Find(string folder) => File.Exists(Path.Combine(folder, "CudaTrainer.sln"))
        ? folder
        : Find(Path.GetDirectoryName(folder.TrimEnd('/'))!);
}
