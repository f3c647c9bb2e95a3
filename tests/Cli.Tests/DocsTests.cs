using System.Text.RegularExpressions;
using CudaTrainer.Cli.CommandLine;

namespace CudaTrainer.Cli.Tests;

/// <summary>What README.md and docs say of the command line exists, and their links lead somewhere. Comments are not looked at.</summary>
public partial class DocsTests
{
    /// <summary>Options of other programs, by the document that shows them.</summary>
    private static readonly Dictionary<string, string[]> Foreign = new()
    {
        ["docs/architecture.md"] = ["--build", "--target"],
        ["docs/backbones.md"] = ["--resnet18", "--onnx-gpu"],
        ["docs/cuda.md"] = ["--gpus", "--quick"],
        ["docs/custom-kernels.md"] = ["--project"],
        ["docs/install.md"] =
        [
            "--add-source", "--build-arg", "--global", "--gpus", "--memory", "--no-healthcheck", "--now", "--publish", "--read-only",
            "--remove", "--rm", "--source", "--tag", "--tmpfs", "--unit", "--user", "--volume",
        ],
        ["docs/library.md"] = ["--add-source", "--global", "--project"],
        ["docs/scaling.md"] = ["--bind-to", "--gpus-per-node", "--hostfile", "--map-by", "--ntasks-per-node", "--oversubscribe"],
        ["docs/cli.md"] = ["--backend-store-uri", "--resnet18"],
        ["docs/tensorboard.md"] = ["--backend-store-uri", "--logdir"],
        ["docs/serve.md"] = ["--data-binary"],
        ["docs/tutorial.md"] = ["--logdir"],
    };

    private static readonly HashSet<string> Options =
    [
        "--help", "--version", "--quiet", "--debug", ArgumentParser.ConfigOption, ArgumentParser.ProgressOption,
        .. Program.Commands.SelectMany(command => command.Options).SelectMany(Forms),
    ];

    public static TheoryData<string> Documents =>
    [
        "README.md",
        .. Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md").Select(file => $"docs/{Path.GetFileName(file)}")
            .Order(StringComparer.Ordinal),
    ];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_option_exists(string document)
    {
        string[] foreign = Foreign.GetValueOrDefault(document, []);
        string[] named = [.. OptionPattern().Matches(Read(document)).Select(match => match.Value).Distinct()];

        named.Where(option => !Options.Contains(option) && !foreign.Contains(option)).ShouldBeEmpty();
        foreign.Where(option => !named.Contains(option)).ShouldBeEmpty("these exceptions are not needed any more");
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_command_line_is_understood(string document)
    {
        // The reference shows usages, with placeholders, and is made from the tables.
        string[] lines = document == "docs/cli.md" ? [] : [.. CommandLines(Read(document))];

        lines.SelectMany(Problems).ShouldBeEmpty();
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void No_placeholder_is_left_to_fill(string document) => Read(document).ShouldNotMatch("@[A-Z]+@");

    [Fact]
    public void Command_lines_are_found_and_faults_in_them_too()
    {
        const string text = "```\n./cudatrainer train --epohs 3   # wrong\nmpirun -n 2 ./cudatrainer train \\\n    --epochs 3\n```\nand `cudatrainer cahce info`.";

        string[] lines = [.. CommandLines(text)];

        lines.ShouldBe(["train --epohs 3", "train --epochs 3", "cahce info"]);
        Problems(lines[0]).ShouldNotBeEmpty();
        Problems(lines[1]).ShouldBeEmpty();
        Problems(lines[2]).ShouldNotBeEmpty();
        string[] found = [.. new TheoryData<string>(Documents).SelectMany(row => CommandLines(Read(row.Data)))];
        found.Length.ShouldBeGreaterThan(25);
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_link_within_the_repository_resolves(string document)
    {
        string folder = Path.GetDirectoryName(Path.Combine(Repository.Root, document))!;
        IEnumerable<string> targets = LinkPattern().Matches(Read(document)).Select(match => match.Groups["target"].Value);

        targets.Where(target => !target.Contains("://", StringComparison.Ordinal) && !Resolves(target)).ShouldBeEmpty();

        bool Resolves(string target)
        {
            string[] parts = target.Split('#');
            string file = parts[0].Length == 0 ? Path.Combine(Repository.Root, document) : Path.Combine(folder, parts[0]);
            return Path.Exists(file) && (parts.Length == 1 || Anchors(File.ReadAllText(file)).Contains(parts[1]));
        }
    }

    [Fact]
    public void Readme_leads_to_every_document()
    {
        HashSet<string> linked = [.. LinkPattern().Matches(Read("README.md")).Select(match => match.Groups["target"].Value.Split('#')[0])];

        Documents.Select(row => row.Data).Where(document => document != "README.md" && !linked.Contains(document)).ShouldBeEmpty();
    }

    [Fact]
    public void Every_environment_variable_of_ours_is_in_the_table_and_every_one_there_exists()
    {
        string[] files = [.. Directory.EnumerateFiles(Path.Combine(Repository.Root, "src"), "*.cs", SearchOption.AllDirectories)];
        string[] read = [.. files.SelectMany(file => VariablePattern().Matches(File.ReadAllText(file)))
            .Select(match => match.Groups["name"].Value).Distinct()];
        string[] table = [.. Read("docs/environment.md").Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .SelectMany(line => ListedVariablePattern().Matches(line.Split('|')[1])).Select(match => match.Groups["name"].Value)];

        read.Length.ShouldBeGreaterThan(10);
        read.Except(table).ShouldBeEmpty("not in the table");

        // Tests read this one, and no source does.
        table.Where(name => name.StartsWith("CUDATRAINER_", StringComparison.Ordinal)).Except(read)
            .ShouldBe(["CUDATRAINER_TEST_GPU"], "nobody reads these");
    }

    private static string Read(string document) => CommentPattern().Replace(File.ReadAllText(Path.Combine(Repository.Root, document)), "");

    private static IEnumerable<string> Forms(OptionDefinition option) =>
        option.IsSwitch ? [option.Name, option.Negative, $"--[no-]{option.Name[2..]}"] : [option.Name];

    /// <summary>What stands behind <c>cudatrainer</c> at the beginning of a line or of a code span.</summary>
    private static IEnumerable<string> CommandLines(string text) =>
        CommandPattern().Matches(text.Replace("\\\n", " ", StringComparison.Ordinal))
            .Select(match => SpacePattern().Replace(match.Groups["line"].Value.Split(" #")[0].Trim(), " "));

    /// <summary>What the parser has to say about a line. An ellipsis stands for arguments that are left out.</summary>
    private static IEnumerable<string> Problems(string line)
    {
        string[] words = [.. line.Split(' ').Where(word => word is not ("…" or "docs" or ">" or "docs/cli.md"))];
        return words.Length == 0
            ? []
            : new ArgumentParser(Program.Commands).Parse(words).Arguments.Problems.Select(problem => $"{line}: {problem}");
    }

    /// <summary>As GitHub makes them of headings.</summary>
    private static HashSet<string> Anchors(string text) =>
        [.. HeadingPattern().Matches(text)
            .Select(match => NoAnchorPattern().Replace(match.Groups["title"].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-'))];

    [GeneratedRegex("<!--.*?-->", RegexOptions.Singleline)]
    private static partial Regex CommentPattern();

    [GeneratedRegex(@"(?<![\w-])--(\[no-\])?[a-z][a-z0-9-]*")]
    private static partial Regex OptionPattern();

    [GeneratedRegex(@"(^(mpirun .*?|(\w+=\S+ )+)?(\./)?|`(\./)?)cudatrainer (?<line>[a-z][^`\n]*)", RegexOptions.Multiline)]
    private static partial Regex CommandPattern();

    [GeneratedRegex("\"(?<name>CUDATRAINER_[A-Z0-9_]+)\"")]
    private static partial Regex VariablePattern();

    [GeneratedRegex("`(?<name>[A-Z][A-Z0-9_]+)`")]
    private static partial Regex ListedVariablePattern();

    [GeneratedRegex(" +")]
    private static partial Regex SpacePattern();

    [GeneratedRegex(@"\[[^\]]*\]\((?<target>[^)\s]+)\)")]
    private static partial Regex LinkPattern();

    [GeneratedRegex("^#+ (?<title>.*)$", RegexOptions.Multiline)]
    private static partial Regex HeadingPattern();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NoAnchorPattern();
}
