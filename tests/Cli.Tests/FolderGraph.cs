using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace CudaTrainer.Cli.Tests;

/// <summary>Which folders of a project's source use which, as the compiler understands the source.</summary>
internal static class FolderGraph
{
    private static readonly CSharpParseOptions Language = new(LanguageVersion.Preview);

    /// <summary>A name in one folder that stands for something declared in another.</summary>
    /// <param name="From">The folder where the name stands, relative to the project.</param>
    /// <param name="To">The folder of the declaration.</param>
    /// <param name="Place">File, line and the name.</param>
    public sealed record Use(string From, string To, string Place);

    /// <summary>Every use between two folders; what documentation comments refer to does not count.</summary>
    /// <param name="assembly">The name under which the source is compiled, which decides whose internals it sees.</param>
    /// <param name="folder">The project's.</param>
    /// <param name="references">Assemblies that it may refer to.</param>
    public static IReadOnlyList<Use> Uses(string assembly, string folder, IEnumerable<string> references)
    {
        List<SyntaxTree> trees =
        [
            .. Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
                .Select(file => CSharpSyntaxTree.ParseText(File.ReadAllText(file), Language, file)),
            CSharpSyntaxTree.ParseText(
                "global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq;"
                + "global using System.Net.Http; global using System.Threading; global using System.Threading.Tasks;", Language),
        ];
        var compilation = CSharpCompilation.Create(
            assembly, trees,
            references.Where(path => Path.GetFileNameWithoutExtension(path) != assembly)
                .Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true));
        return [.. trees.Take(trees.Count - 1).SelectMany(tree => Uses(compilation.GetSemanticModel(tree), tree, folder)).Distinct()];
    }

    /// <summary>A shortest way from a folder back to itself, as the uses along it; empty where there is none.</summary>
    public static IReadOnlyList<Use> Cycle(IReadOnlyList<Use> uses)
    {
        ILookup<string, Use> outgoing = uses.DistinctBy(use => (use.From, use.To)).ToLookup(use => use.From);
        return outgoing.Select(start => Way(outgoing, start.Key)).Where(way => way.Count > 0).MinBy(way => way.Count) ?? [];
    }

    private static List<Use> Way(ILookup<string, Use> outgoing, string start)
    {
        var ways = new Queue<List<Use>>(outgoing[start].Select(use => new List<Use> { use }));
        var seen = new HashSet<string>();
        while (ways.TryDequeue(out List<Use>? way))
        {
            if (way[^1].To == start)
            {
                return way;
            }

            if (seen.Add(way[^1].To))
            {
                foreach (Use next in outgoing[way[^1].To])
                {
                    ways.Enqueue([.. way, next]);
                }
            }
        }

        return [];
    }

    private static IEnumerable<Use> Uses(SemanticModel model, SyntaxTree tree, string root)
    {
        string from = Folder(tree, root);
        foreach (SimpleNameSyntax name in tree.GetRoot().DescendantNodes().OfType<SimpleNameSyntax>())
        {
            SymbolInfo info = model.GetSymbolInfo(name);
            ISymbol? symbol = info.Symbol ?? info.CandidateSymbols.FirstOrDefault();
            if (symbol is null or INamespaceSymbol or ILocalSymbol or IParameterSymbol or ITypeParameterSymbol
                || symbol.OriginalDefinition.DeclaringSyntaxReferences is not [SyntaxReference declaration, ..] declarations
                || declarations.Any(place => Folder(place.SyntaxTree, root) == from))
            {
                continue;
            }

            int line = name.GetLocation().GetLineSpan().StartLinePosition.Line + 1;
            yield return new Use(
                from, Folder(declaration.SyntaxTree, root), $"{Path.GetRelativePath(root, tree.FilePath)}:{line} uses {symbol.Name}");
        }
    }

    private static string Folder(SyntaxTree tree, string root) => Path.GetRelativePath(root, Path.GetDirectoryName(tree.FilePath)!);
}
