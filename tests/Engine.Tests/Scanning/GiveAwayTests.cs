using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Scanning;

namespace CudaTrainer.Engine.Tests.Scanning;

/// <summary>Classes that the files tell apart, and classes that they do not.</summary>
public sealed class GiveAwayTests
{
    [Fact]
    public void Fights_of_another_resolution_are_found_with_the_numbers()
    {
        int exceptions = 2;
        ScannedFile[] files = [.. Clean().Select(file => file with
        {
            Height = file.Class == "violent" || exceptions-- > 0 ? 720 : 360,
            Width = 640,
        })];

        Finding finding = DatasetAssessment.Of(files).Findings.ShouldHaveSingleItem();

        finding.Kind.ShouldBe("give_away_picture");
        finding.Text.ShouldBe("The height of the picture alone tells the classes apart in 98 % of clips held out (violent: 720 rows in " +
            "40 of 40; nonviolent: 360 rows in 38 of 40): a model may learn that instead of what happens. Bring all clips to one size, " +
                "or add clips that break the link. So does the shape of the picture (98 %).");
    }

    [Fact]
    public void One_class_of_a_fixed_length_among_longer_and_shorter_ones_is_found()
    {
        int number = 0;
        ScannedFile[] files = [.. Clean().Select(file => Lasting(file, file.Class == "violent" ? 5 : 2 + (6.1 * number++ / 40)))];

        Finding finding = DatasetAssessment.Of(files).Findings.ShouldHaveSingleItem();

        finding.Kind.ShouldBe("give_away_length");
        finding.Text.ShouldMatch(@"^The length of the clip alone tells the classes apart in (9[0-9]|100) % of clips held out \(violent: " +
            @"5\.00 s in 40 of 40; nonviolent: up to 4\.90 s or 5\.05 s and more in 40 of 40\)");

        static ScannedFile Lasting(ScannedFile file, double seconds) => file with
        {
            Seconds = seconds,
            FrameRate = file.Frames / seconds,
            Bytes = (long)(file.Bytes * seconds / file.Seconds),
        };
    }

    [Theory]
    [InlineData("give_away_rate", "The frame rate alone tells the classes apart in 100 % of clips held out (violent: 30 frames/s in 40 " +
        "of 40; nonviolent: 25 frames/s in 40 of 40)")]
    [InlineData("give_away_encoding", "The codec alone tells the classes apart in 100 % of clips held out (violent: h264 or vp9 in 40 of " +
        "40; nonviolent: mpeg4 in 40 of 40)")]
    [InlineData("give_away_data", "The bit rate alone tells the classes apart in 100 % of clips held out (violent: 2000 kbit/s and more")]
    public void What_else_goes_with_the_class_is_found_and_named(string kind, string text)
    {
        int number = 0;
        ScannedFile[] files = [.. Clean().Select(file =>
        {
            bool violent = file.Class == "violent";
            number++;
            return kind switch
            {
                "give_away_rate" => file with { FrameRate = violent ? 30 : 25 },
                "give_away_encoding" => file with { Codec = !violent ? "mpeg4" : number % 4 < 2 ? "h264" : "vp9" },
                _ => file with { Bytes = (long)((violent ? 250_000 + number : 100_000 + number) * file.Seconds) },
            };
        })];

        DatasetAssessment assessment = DatasetAssessment.Of(files);

        assessment.Findings.ShouldHaveSingleItem().Kind.ShouldBe(kind);
        assessment.Findings[0].Text.ShouldStartWith(text);
        assessment.GiveAways[0].PValue.ShouldBe(0.002, 1e-12, "no permutation comes as far");
    }

    [Fact]
    public void The_stronger_link_comes_first()
    {
        int number = 0;
        ScannedFile[] files = [.. Clean().Select(file => file with
        {
            FrameRate = file.Class == "violent" == (number++ % 10 > 1) ? 30 : 25,
            Codec = file.Class == "violent" ? "h264" : "vp9",
        })];

        DatasetAssessment.Of(files).Findings.Select(finding => finding.Kind).ShouldBe(["give_away_encoding", "give_away_rate"]);
    }

    /// <summary>Three links that fail on other clips each.</summary>
    [Fact]
    public void Links_that_are_stronger_together_are_found_together()
    {
        int number = 0;
        ScannedFile[] files = [.. Clean().Select(file =>
        {
            int fails = number++ / 2 % 4;
            bool violent = file.Class == "violent";
            return file with
            {
                Height = violent == (fails != 0) ? 720 : 360,
                FrameRate = violent == (fails != 1) ? 30 : 25,
                Codec = violent == (fails != 2) ? "h264" : "vp9",
                Width = 640,
            };
        })];

        DatasetAssessment assessment = DatasetAssessment.Of(files);

        assessment.GiveAways[0].Metadatum.ShouldBe("together");
        assessment.GiveAways[0].BalancedAccuracy.ShouldBeGreaterThan(0.9);
        assessment.Findings[0].Kind.ShouldBe("give_away_together");
        assessment.GiveAways.Single(giveAway => giveAway.Metadatum == "height").BalancedAccuracy.ShouldBe(0.75, 1e-9);
    }

    [Fact]
    public void Clips_that_no_file_tells_apart_have_no_findings()
    {
        DatasetAssessment.Of(Clean()).Findings.ShouldBeEmpty();
        ScannedFile[] alike = [.. Enumerable.Range(0, 60).Select(i => ScannedClips.Of($"{i}", i % 2))];
        DatasetAssessment.Of(alike).Findings.ShouldBeEmpty();
        DatasetAssessment.Of(alike).GiveAways.ShouldBeEmpty("nothing differs");
    }

    /// <summary>
    /// Sources of one class each, of different sizes, whose clips are alike: much is told apart by chance, and that must not be believed.
    /// The bound is what a test that is wrong once in a hundred exceeds once in sixty.
    /// </summary>
    [Fact]
    public void Labels_that_mean_nothing_are_hardly_ever_given_away()
    {
        const int DataSets = 200;
        int flagged = 0, far = 0, single = 0;
        for (int seed = 0; seed < DataSets; seed++)
        {
            var random = new SplitMix64((ulong)seed + 1000);
            int[] sizes = [.. Enumerable.Range(0, 24).Select(_ => 1 + random.Next(6))];
            int[] classes = [.. Enumerable.Range(0, sizes.Length).Select(source => source % 2)];
            random.Shuffle<int>(classes);
            ScannedFile[] files = ScannedClips.Draw(sizes, (source, _) => classes[source], seed);

            IReadOnlyList<GiveAway> giveAways = DatasetAssessment.Of(files).GiveAways;

            flagged += giveAways.Any(giveAway => giveAway.Found) ? 1 : 0;
            far += giveAways[0].BalancedAccuracy >= 0.65 ? 1 : 0;
            single += giveAways[0].PValue < 0.1 ? 1 : 0;
        }

        flagged.ShouldBeLessThanOrEqualTo(5);
        far.ShouldBeGreaterThan(20, "what chance alone achieves");
        single.ShouldBeInRange(8, 36, "one in ten is below 0.1");
    }

    [Fact]
    public void One_of_three_classes_that_a_file_tells_from_the_rest_is_found_and_named()
    {
        ScannedFile[] files = [.. Of(3, 40).Select(file => file with { Height = file.Class == "hug" ? 720 : 360, Width = 640 })];

        DatasetAssessment assessment = DatasetAssessment.Of(files);

        assessment.Findings.Where(finding => finding.Kind.StartsWith("give_away")).ShouldHaveSingleItem().Text.ShouldStartWith(
            "The height of the picture alone tells hug from the other classes in 100 % of clips held out, both sides counting alike " +
                "(hug: 720 rows in 40 of 40; others: 360 rows in 80 of 80): a model may learn that");
        assessment.Findings[0].Text.ShouldContain("It also tells fight (75 %), walk (75 %) from the rest.");
        assessment.GiveAways[0].PValue.ShouldBe(0.002, 1e-12);
        assessment.GiveAways.Select(giveAway => giveAway.Class).Distinct().Order().ShouldBe(["fight", "hug", "walk"]);
    }

    /// <summary>As <see cref="Labels_that_mean_nothing_are_hardly_ever_given_away"/>, of three classes.</summary>
    [Fact]
    public void Labels_of_three_classes_that_mean_nothing_are_hardly_ever_given_away()
    {
        const int DataSets = 60;
        int flagged = 0, single = 0;
        for (int seed = 0; seed < DataSets; seed++)
        {
            IReadOnlyList<GiveAway> giveAways = DatasetAssessment.Of(Of(3, 12, seed)).GiveAways;
            flagged += giveAways.Any(giveAway => giveAway.Found) ? 1 : 0;
            single += giveAways.Min(giveAway => giveAway.PValue) < 0.1 ? 1 : 0;
        }

        flagged.ShouldBeLessThanOrEqualTo(3);
        single.ShouldBeInRange(1, 14, "one in ten is below 0.1");
    }

    [Fact]
    public void Equal_data_sets_give_equal_results()
    {
        ScannedFile[] files = Clean();
        DatasetAssessment.Of(files).GiveAways.ShouldBe(DatasetAssessment.Of(files).GiveAways);
    }

    /// <summary>Copies and clips of one source stay on one side, or each clip would be judged by its own copy.</summary>
    [Fact]
    public void Copies_do_not_vouch_for_each_other()
    {
        var random = new SplitMix64(5);
        ScannedFile[] originals = [.. Enumerable.Range(0, 40).Select(i => ScannedClips.Of($"{i}", i % 2) with
        {
            Bytes = 50_000 + random.Next(100_000),
            Source = null,
        })];
        ScannedFile[] files = [.. originals, .. originals.SelectMany(file => Enumerable.Range(1, 4).Select(copy => file with
        {
            Path = file.Path.Replace(".mp4", $"-{copy}.mp4"),
            Verdict = DataScan.Duplicate,
            DuplicateOf = file.Path,
        }))];

        DatasetAssessment.Of(files).GiveAways.ShouldAllBe(giveAway => !giveAway.Found);
    }

    /// <summary>Clips of classes that no file tells apart; every source has clips of all of them.</summary>
    private static ScannedFile[] Of(int classes, int clipsOfEach, int seed = 1)
    {
        string[] names = ["fight", "hug", "walk", "dance"];
        int number = 0;
        return [.. ScannedClips.Draw(clipsOfEach, classes, (_, _) => 0, seed)
            .Select(file => file with { Class = names[number++ % classes] })];
    }

    private static ScannedFile[] Clean() => ScannedClips.Draw(40, 2, (_, clip) => clip % 2);
}
