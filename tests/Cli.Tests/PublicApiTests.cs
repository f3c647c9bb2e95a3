using System.Reflection;
using PublicApiGenerator;

namespace CudaTrainer.Cli.Tests;

/// <summary>
/// What the packages promise is what <c>docs/api</c> lists: whoever changes it sees so, and readers of the change see how.
/// </summary>
public sealed class PublicApiTests
{
    /// <summary>Set by scripts/api.sh: the listings are written instead of compared.</summary>
    private const string AcceptVariable = "CUDATRAINER_ACCEPT_API";

    private static readonly string Folder = Path.Combine(Repository.Root, "docs", "api");

    private static readonly ApiGeneratorOptions Options = new() { IncludeAssemblyAttributes = false };

    [Theory]
    [MemberData(nameof(ArchitectureTests.Libraries), MemberType = typeof(ArchitectureTests))]
    public void The_public_surface_is_the_one_that_is_listed(string project)
    {
        string name = $"CudaTrainer.{project}", path = Path.Combine(Folder, $"{name}.txt");
        string actual = Assembly.Load(name).GeneratePublicApi(Options).ReplaceLineEndings("\n").TrimEnd() + "\n";
        if (Environment.GetEnvironmentVariable(AcceptVariable) == "1")
        {
            Directory.CreateDirectory(Folder);
            File.WriteAllText(path, actual);
        }

        string[] changes = Changes(File.Exists(path) ? File.ReadAllText(path) : string.Empty, actual);
        Assert.True(changes.Length == 0,
            $"The public surface of {name} is not the one in docs/api/{name}.txt:\n{string.Join('\n', changes)}\n" +
            "If that is meant, run scripts/api.sh and commit what it writes; otherwise make what is new internal.");
    }

    [Fact]
    public void Every_listing_is_of_a_library() =>
        Directory.EnumerateFiles(Folder).Select(Path.GetFileName)
            .ShouldBe(ArchitectureTests.Libraries.Select(row => $"CudaTrainer.{row.Data}.txt"), ignoreOrder: true);

    [Fact]
    public void A_change_is_named_with_its_type_and_its_namespace()
    {
        const string before = "namespace One\n{\n    public class A\n    {\n        public void Run() { }\n    }\n}\n";

        Changes(before, before).ShouldBeEmpty();
        Changes(before, before.Replace("Run()", "Run(int times)", StringComparison.Ordinal)).ShouldBe(
            ["- One, class A: public void Run() { }", "+ One, class A: public void Run(int times) { }"]);
        Changes(string.Empty, before).ShouldBe(["+ One: public class A", "+ One, class A: public void Run() { }"]);

        // The same member of another type, or of another namespace, is another member.
        Changes(before, before.Replace("class A", "class B", StringComparison.Ordinal)).Length.ShouldBe(4);
        Changes(before, before.Replace("One", "Two", StringComparison.Ordinal)).Length.ShouldBe(4);
    }

    /// <summary>The lines that only one of two listings has, with the type that each belongs to.</summary>
    private static string[] Changes(string listed, string actual)
    {
        string[] before = [.. Members(listed)], after = [.. Members(actual)];
        return [.. before.Except(after).Select(line => $"- {line}"), .. after.Except(before).Select(line => $"+ {line}")];
    }

    /// <summary>Every line of a listing behind the namespace and the types that it stands in, which indentation tells.</summary>
    private static IEnumerable<string> Members(string listing)
    {
        List<string> around = [];
        foreach (string line in listing.Split('\n'))
        {
            string text = line.Trim();
            int depth = (line.Length - line.TrimStart().Length) / 4;
            if (text is "" or "{" or "}")
            {
                continue;
            }

            around.RemoveRange(Math.Min(depth, around.Count), around.Count - Math.Min(depth, around.Count));
            if (!text.StartsWith("namespace ", StringComparison.Ordinal))
            {
                yield return $"{string.Join(", ", around)}: {text}";
            }

            around.Add(ShortName(text));
        }
    }

    /// <summary>Of a namespace its name, of a type what it is and its name, without what it derives from.</summary>
    private static string ShortName(string line)
    {
        string name = line.Split(" : ")[0];
        return name.StartsWith("namespace ", StringComparison.Ordinal) ? name["namespace ".Length..]
            : name.StartsWith("public ", StringComparison.Ordinal) ? name["public ".Length..]
            : name;
    }
}
