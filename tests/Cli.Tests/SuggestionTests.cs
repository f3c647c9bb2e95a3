using CudaTrainer.Cli.CommandLine;

namespace CudaTrainer.Cli.Tests;

public class SuggestionTests
{
    [Theory]
    [InlineData("", "", 0)]
    [InlineData("abc", "abc", 0)]
    [InlineData("abc", "", 3)]
    [InlineData("abc", "abd", 1)]
    [InlineData("abc", "acb", 1)]
    [InlineData("abc", "ac", 1)]
    [InlineData("kitten", "sitting", 3)]
    public void Edits_counts_insertions_deletions_substitutions_and_swaps(string a, string b, int expected)
    {
        Suggestion.Edits(a, b).ShouldBe(expected);
        Suggestion.Edits(b, a).ShouldBe(expected);
    }

    [Theory]
    [InlineData("--Batch_Size", "--batch-size")]
    [InlineData("--bacth-size", "--batch-size")]
    [InlineData("--batch", "--batch-size")]
    [InlineData("--completely-different", null)]
    public void Nearest_ignores_case_and_separators(string typed, string? expected) =>
        Suggestion.Nearest(typed, ["--epochs", "--batch-size", "--split"]).ShouldBe(expected);
}
