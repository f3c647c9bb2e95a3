using CudaTrainer.Formats;
using CudaTrainer.Fuzz;

namespace CudaTrainer.Cli.Tests;

/// <summary>What hunts with changed inputs have found, kept in tests/fuzz: `make fuzz` goes on hunting.</summary>
public sealed class FuzzCorpusTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Names => [.. Targets.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void Inputs_that_once_showed_a_fault_are_taken_or_refused_as_documented(string name)
    {
        FuzzTarget target = Targets.Named(name);

        foreach (string file in Inputs(name))
        {
            Verdict.Of(target, File.ReadAllBytes(file), _folder.Path)?.Details.ShouldBeNull(file);
        }
    }

    /// <summary>Otherwise the hunt would only ever test the reader's first check.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void What_a_hunt_begins_with_is_taken(string name)
    {
        Assert.SkipWhen(name == "hdf5" && !Hdf5Library.IsAvailable, Hdf5Library.Detail);
        FuzzTarget target = Targets.Named(name);

        foreach (byte[] seed in target.Seeds())
        {
            Should.NotThrow(() => target.Read(target.Mend(seed), _folder.Path));
        }
    }

    [Fact]
    public void Every_folder_of_inputs_belongs_to_a_reader_and_all_of_them_are_small()
    {
        string[] files = [.. Directory.EnumerateFiles(Places.Corpus, "*", SearchOption.AllDirectories)];

        files.Select(file => Path.GetFileName(Path.GetDirectoryName(file))!).Except(Targets.Names).ShouldBeEmpty();
        files.Sum(file => new FileInfo(file).Length).ShouldBeLessThan(300_000);
    }

    public void Dispose() => _folder.Dispose();

    private static IEnumerable<string> Inputs(string name)
    {
        string folder = Path.Combine(Places.Corpus, name);
        return Directory.Exists(folder) ? Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal) : [];
    }
}
