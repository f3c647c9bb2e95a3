using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class NativeShimTests
{
    private const string Folders = "NATIVE_DLL_SEARCH_DIRECTORIES";

    [Fact]
    public void A_library_of_a_package_is_looked_for_where_the_host_says_that_packages_have_theirs()
    {
        using var folder = new TemporaryFolder();
        string packaged = folder.File("libown.so", "");
        object? before = AppContext.GetData(Folders);
        AppContext.SetData(Folders, $"{folder.File("nothing")}:{Path.GetDirectoryName(packaged)}:");
        try
        {
            IReadOnlyList<string> candidates = NativeShim.Candidates("libown.so", "CUDATRAINER_NO_SUCH_LIB");

            // Beside the program comes first, the system's loader last; a folder without the file is not named.
            candidates[0].ShouldBe(Path.Combine(AppContext.BaseDirectory, "libown.so"));
            candidates.SkipWhile(candidate => candidate != packaged).ShouldBe([packaged, "libown.so"]);
            candidates.ShouldNotContain(candidate => candidate.Contains("nothing", StringComparison.Ordinal));
        }
        finally
        {
            AppContext.SetData(Folders, before);
        }
    }

    [Fact]
    public void The_reason_is_the_loaders_without_the_path_that_was_tried()
    {
        (object? library, string detail) = NativeShim.Load<object>(["/nowhere/libown.so", "libown.so"], path => NativeShim.Open(path));

        library.ShouldBeNull();
        const string reason = "cannot open shared object file: No such file or directory";
        detail.ShouldBe($"/nowhere/libown.so ({reason}), libown.so ({reason})");
    }
}
