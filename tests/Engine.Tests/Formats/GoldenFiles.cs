namespace CudaTrainer.Engine.Tests.Formats;

/// <summary>Finds tests/golden from wherever the tests were built to.</summary>
internal static class GoldenFiles
{
    private static readonly string Folder = Find();

    public static string Path(string name) => System.IO.Path.Combine(Folder, name);

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string golden = System.IO.Path.Combine(folder.FullName, "tests", "golden");
            if (Directory.Exists(golden))
            {
                return golden;
            }
        }

        throw new DirectoryNotFoundException($"tests/golden is not above {AppContext.BaseDirectory}");
    }
}
