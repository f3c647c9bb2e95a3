namespace CudaTrainer.Fuzzer;

/// <summary>Where things lie.</summary>
internal static class Places
{
    /// <summary>The folder of the solution.</summary>
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    /// <summary>Inputs that once showed a fault, a folder for each target.</summary>
    public static string Corpus => Path.Combine(Root, "tests", "fuzz");

    private static string Find(string folder) => File.Exists(Path.Combine(folder, "CudaTrainer.sln"))
        ? folder
        : Find(Path.GetDirectoryName(folder.TrimEnd('/'))
            ?? throw new DirectoryNotFoundException("This program runs inside its repository."));
}
