using System.Reflection;

namespace CudaTrainer.Engine.Tests;

/// <summary>Arrows between projects point down: who may refer to whom.</summary>
public sealed class ArchitectureTests
{
    private static readonly Dictionary<string, string[]> Below = new()
    {
        ["Kernels"] = [],
        ["Formats"] = [],
        ["Engine"] = ["Kernels", "Formats"],
        ["Data"] = ["Kernels", "Formats"],
        ["Synthetic"] = ["Data", "Formats"],
        ["Training"] = ["Engine", "Data", "Kernels", "Formats"],
    };

    public static TheoryData<string> Projects => [.. Below.Keys];

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_refers_only_to_those_below_it(string project) =>
        Assembly.Load($"CudaTrainer.{project}").GetReferencedAssemblies()
            .Select(reference => reference.Name!)
            .Where(name => name.StartsWith("CudaTrainer.", StringComparison.Ordinal))
            .Select(name => name["CudaTrainer.".Length..])
            .Except(Below[project])
            .Select(other => $"{project} → {other}")
            .ShouldBeEmpty("edges that are not allowed");

    [Theory]
    [MemberData(nameof(Projects))]
    public void Nothing_below_the_command_line_knows_the_console(string project) =>
        Assembly.Load($"CudaTrainer.{project}").GetReferencedAssemblies()
            .ShouldNotContain(reference => reference.Name == "System.Console", project);
}
