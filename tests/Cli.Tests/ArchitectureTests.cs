using System.Reflection;
using System.Xml.Linq;

namespace CudaTrainer.Cli.Tests;

/// <summary>Arrows point down: which project may refer to which, and no circle between the folders of one.</summary>
public sealed class ArchitectureTests
{
    private static readonly Dictionary<string, string[]> Below = new()
    {
        ["Kernels"] = [],
        ["Formats"] = [],
        ["Engine"] = ["Kernels", "Formats"],
        ["Data"] = ["Kernels", "Formats"],
        ["Synthetic"] = ["Data", "Kernels", "Formats"],
        ["Training"] = ["Engine", "Data", "Kernels", "Formats"],
        ["OnnxRuntime"] = ["Formats"],
        ["Live"] = ["Training", "Engine", "Data", "Formats"],
        ["Serve"] = ["Live", "Training", "Engine", "Data", "Formats"],
        ["Cli"] = ["Serve", "Live", "OnnxRuntime", "Synthetic", "Training", "Engine", "Data", "Kernels", "Formats"],
    };

    public static TheoryData<string> Projects => [.. Below.Keys];

    public static TheoryData<string> Libraries => [.. Below.Keys.Except(["Cli"])];

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_refers_only_to_those_below_it(string project) =>
        Load(project).GetReferencedAssemblies()
            .Select(reference => reference.Name!)
            .Where(name => name.StartsWith("CudaTrainer.", StringComparison.Ordinal))
            .Select(name => name["CudaTrainer.".Length..])
            .Except(Below[project])
            .Select(other => $"{project} → {other}")
            .ShouldBeEmpty("edges that are not allowed");

    /// <summary>A constant of another project leaves no trace in the assembly, but in the project.</summary>
    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_names_only_those_below_it(string project) =>
        XDocument.Load(Path.Combine(Repository.Root, "src", project, $"{project}.csproj")).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension((string)reference.Attribute("Include")!))
            .Except(Below[project])
            .Select(other => $"{project} → {other}")
            .ShouldBeEmpty("edges that are not allowed");

    [Theory]
    [MemberData(nameof(Libraries))]
    public void Nothing_below_the_command_line_knows_the_console(string project) =>
        Load(project).GetReferencedAssemblies()
            .ShouldNotContain(reference => reference.Name == "System.Console", project);

    [Theory]
    [MemberData(nameof(Projects))]
    public void No_folders_of_a_project_form_a_circle(string project)
    {
        string folder = Path.Combine(Repository.Root, "src", project);
        IReadOnlyList<FolderGraph.Use> uses = FolderGraph.Uses(AssemblyOf(project), folder, References());
        FolderGraph.Cycle(uses).Select(use => $"{use.From} → {use.To}: {use.Place}").ShouldBeEmpty($"a circle in src/{project}");
    }

    [Fact]
    public void A_circle_of_folders_is_found_and_named()
    {
        using var folder = new TemporaryFolder();
        Write("High/Upper.cs", "namespace Up; class Upper { Down.Lower? Below; static void Call() { } }");
        Write("Low/Lower.cs", "namespace Down; /// <summary><see cref=\"Up.Upper\"/></summary>\nclass Lower { }");
        FolderGraph.Cycle(FolderGraph.Uses("Two", folder.Path, References())).ShouldBeEmpty();
        Write("Low/Lower.cs", "namespace Down; class Lower { void Ask() => new Middle.Between(); }");
        Write("Middle/Between.cs", "namespace Middle; class Between { object Find() => typeof(Up.Upper); }");
        FolderGraph.Cycle(FolderGraph.Uses("Two", folder.Path, References())).Select(use => use.Place).ShouldBe(
            ["High/Upper.cs:1 uses Lower", "Low/Lower.cs:1 uses Between", "Middle/Between.cs:1 uses Upper"], ignoreOrder: true);

        void Write(string file, string text)
        {
            string path = Path.Combine(folder.Path, file);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, text);
        }
    }

    private static Assembly Load(string project) => Assembly.Load(AssemblyOf(project));

    private static string AssemblyOf(string project) => project == "Cli" ? "cudatrainer" : $"CudaTrainer.{project}";

    private static string[] References() =>
        ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
}
