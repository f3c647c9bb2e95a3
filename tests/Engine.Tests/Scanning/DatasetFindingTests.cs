using CudaTrainer.Training.Events;
using CudaTrainer.Training.Scanning;

namespace CudaTrainer.Engine.Tests.Scanning;

/// <summary>One thing wrong with a data set at a time, next to one that is just right.</summary>
public sealed class DatasetFindingTests
{
    [Theory]
    [InlineData(0, Severity.Error, "Only 0 clips of the class violent")]
    [InlineData(1, Severity.Error, "Only 1 clip of the class violent")]
    [InlineData(19, Severity.Warning, "Only 19 clips of the class violent")]
    [InlineData(20, null, null)]
    public void Too_few_clips(int violent, Severity? severity, string? text)
    {
        ScannedFile[] files = [.. Clips(violent, 40)];
        Finding? finding = DatasetAssessment.Of(files).Findings.FirstOrDefault(finding => finding.Kind == "few_clips");

        (finding?.Severity).ShouldBe(severity);
        (finding?.Text.StartsWith(text!)).ShouldBe(severity is null ? null : true, finding?.Text);
    }

    [Fact]
    public void Clips_outside_of_classes_and_broken_ones_are_none()
    {
        DatasetAssessment.Of([]).Findings.ShouldHaveSingleItem().Kind.ShouldBe("no_clips");
        ScannedFile[] outside = [.. Clips(30, 30).Select(file => file with { Class = null })];
        DatasetAssessment.Of(outside).Findings.ShouldHaveSingleItem().Text.ShouldContain("folders named violent and nonviolent");
        ScannedFile[] broken = [.. Clips(30, 30).Select((file, i) => i < 15 ? file with { Verdict = "truncated" } : file)];
        DatasetAssessment.Of(broken).Findings.Select(finding => finding.Kind).ShouldBe(["few_clips", "broken_files"]);
        DatasetAssessment.Of(broken).Findings[1].Text.ShouldStartWith("25 % of the files (15 of 60) do not decode");
    }

    [Fact]
    public void Unknown_sources()
    {
        ScannedFile[] files = [.. Clips(30, 30).Select(file => file with { Source = null })];
        Only("sources_unknown", files).Text.ShouldContain("list their sources in sources.csv");
    }

    [Theory]
    [InlineData(9, "The 36 violent clips come from only 9 sources")]
    [InlineData(10, null)]
    public void Too_few_sources(int sources, string? text)
    {
        ScannedFile[] files = [.. Clips(36, 40).Select(file => Number(file) is int number && file.Class == "violent"
            ? file with { Source = $"v{number % sources}" } : file)];
        OnlyIf("few_sources", text, files);
    }

    [Theory]
    [InlineData(13, "33 % of the violent clips (13 of 40) come from one source (long)")]
    [InlineData(12, null)]
    public void A_source_of_many_clips(int clips, string? text)
    {
        ScannedFile[] files = [.. Clips(40, 40).Select(file => file.Class == "violent" && Number(file) < clips
            ? file with { Source = "long" } : file)];
        OnlyIf("large_source", text, files);
    }

    [Fact]
    public void One_source() =>
        Only("one_source", [.. Clips(30, 30).Select(file => file with { Source = "hall" })]).Severity.ShouldBe(Severity.Error);

    [Theory]
    [InlineData(false, "Each of the 20 sources has clips of one class only")]
    [InlineData(true, null)]
    public void Sources_of_one_class(bool oneOfBoth, string? text)
    {
        ScannedFile[] files = [.. Clips(30, 30).Select(file => file with
        {
            Source = oneOfBoth && Number(file) == 0 ? "both" : $"{file.Class}{Number(file) % 10}",
        })];
        OnlyIf("sources_of_one_class", text, files);
    }

    [Theory]
    [InlineData(20, 81, "Only 20 % of the clips are violent (20 of 101)")]
    [InlineData(20, 80, null)]
    [InlineData(150, 30, "Only 17 % of the clips are nonviolent (30 of 180)")]
    public void Unequal_classes(int violent, int nonviolent, string? text) => OnlyIf("unequal_classes", text, Clips(violent, nonviolent));

    /// <summary>Too few sources for certainty that lengths tell the classes apart.</summary>
    [Theory]
    [InlineData(6, "Violent clips last 6.0 s, nonviolent 3.0 s (medians)")]
    [InlineData(5.9, null)]
    public void Clips_of_other_length(double seconds, string? text)
    {
        ScannedFile[] files = [.. Clips(30, 30).Select(file => file with
        {
            Seconds = file.Class == "violent" ? seconds : 3,
            Source = $"{file.Class}{Number(file) % 2}",
        })];
        Finding? finding = DatasetAssessment.Of(files).Findings.SingleOrDefault(finding => finding.Kind == "unequal_lengths");
        (finding?.Text.StartsWith(text!)).ShouldBe(text is null ? null : true, finding?.Text);
    }

    [Fact]
    public void Copies_within_a_class_and_across()
    {
        ScannedFile[] files = Clips(30, 30);
        ScannedFile within = files[1] with { Verdict = DataScan.Duplicate, DuplicateOf = files[0].Path };
        Finding copies = Only("copies", [files[0], within, .. files[2..]]);
        copies.Severity.ShouldBe(Severity.Warning);
        copies.Text.ShouldStartWith($"2 % of the clips (1 of 60) are copies of others and count more than once ({within.Path})");

        ScannedFile across = files[^1] with { Verdict = DataScan.Duplicate, DuplicateOf = files[0].Path };
        Finding contradiction = Only("copies_across_classes", [.. files[..^1], across]);
        contradiction.Severity.ShouldBe(Severity.Error);
        contradiction.Text.ShouldStartWith($"1 video lies in both classes ({files[0].Path} = {across.Path})");
    }

    [Fact]
    public void All_clips_one_content()
    {
        ScannedFile[] files = Clips(30, 30);
        Only("all_alike", [files[0], .. files[1..].Select(file => file with
        {
            Verdict = DataScan.Duplicate,
            DuplicateOf = files[0].Path,
        })]).Severity.ShouldBe(Severity.Error);
    }

    [Fact]
    public void Errors_come_first_then_what_gives_classes_away()
    {
        ScannedFile[] files = [.. Clips(30, 30).Select(file => file with { Source = null, Height = file.Class == "violent" ? 720 : 360 })];
        files[^1] = files[^1] with { Verdict = DataScan.Duplicate, DuplicateOf = files[0].Path };

        DatasetAssessment.Of(files).Findings.Select(finding => finding.Kind)
            .ShouldBe(["copies_across_classes", "give_away_picture", "sources_unknown"]);
    }

    private static ScannedFile[] Clips(int violent, int nonviolent) =>
    [
        .. Enumerable.Range(0, violent).Select(i => ScannedClips.Of($"{i}", 1)),
        .. Enumerable.Range(0, nonviolent).Select(i => ScannedClips.Of($"{i}", 0)),
    ];

    private static int Number(ScannedFile file) => int.Parse(Path.GetFileNameWithoutExtension(file.Path));

    private static Finding Only(string kind, ScannedFile[] files)
    {
        Finding finding = DatasetAssessment.Of(files).Findings.ShouldHaveSingleItem();
        finding.Kind.ShouldBe(kind);
        return finding;
    }

    private static void OnlyIf(string kind, string? text, ScannedFile[] files)
    {
        if (text is null)
        {
            DatasetAssessment.Of(files).Findings.ShouldBeEmpty();
        }
        else
        {
            Only(kind, files).Text.ShouldStartWith(text);
        }
    }
}
