using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Engine.Tests.Dataset;

public sealed class DatasetScannerTests
{
    [Theory]
    [InlineData("train", DatasetSplit.Train)]
    [InlineData("Training", DatasetSplit.Train)]
    [InlineData("VAL", DatasetSplit.Validation)]
    [InlineData("valid", DatasetSplit.Validation)]
    [InlineData("Validation", DatasetSplit.Validation)]
    [InlineData("test", DatasetSplit.Test)]
    [InlineData("TESTING", DatasetSplit.Test)]
    public void Split_folder_names_are_recognised_in_any_case(string name, DatasetSplit expected)
    {
        DatasetSplits.TryParse(name, out DatasetSplit split).ShouldBeTrue();
        split.ShouldBe(expected);
    }

    [Theory]
    [InlineData("violent", 1)]
    [InlineData("Violence", 1)]
    [InlineData("FIGHT", 1)]
    [InlineData("fights", 1)]
    [InlineData("nonviolent", 0)]
    [InlineData("Non-Violent", 0)]
    [InlineData("NonViolence", 0)]
    [InlineData("noFight", 0)]
    [InlineData("NonFight", 0)]
    [InlineData("no_fight", 0)]
    [InlineData("Normal", 0)]
    public void Class_folder_names_are_recognised_in_any_case(string name, int expected)
    {
        ClassLabel.TryParse(name, out int label).ShouldBeTrue();
        label.ShouldBe(expected);
    }

    [Theory]
    [InlineData("trainer")]
    [InlineData("")]
    [InlineData("violently")]
    [InlineData("_")]
    public void Other_names_are_neither_split_nor_class(string name)
    {
        DatasetSplits.TryParse(name, out _).ShouldBeFalse();
        ClassLabel.TryParse(name, out _).ShouldBeFalse();
    }

    [Fact]
    public void Split_folders_are_taken_as_they_are()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("Train/Fight", 3).AddClips("Train/NonFight", 2).AddClips("valid/Fight", 1).AddClips("valid/NonFight", 1)
            .AddClips("test/Fight", 1).AddClips("test/NonFight", 2);

        VideoDataset dataset = folder.Scan();

        dataset.Table.Rows.Select(row => (row.Split, row.Clips)).ShouldBe(
        [
            (DatasetSplit.Train, new ClassCounts(2, 3)),
            (DatasetSplit.Validation, new ClassCounts(1, 1)),
            (DatasetSplit.Test, new ClassCounts(2, 1)),
        ]);
        dataset.Table.Total.ShouldBe(new ClassCounts(5, 5));
        dataset[DatasetSplit.Train].Select(clip => clip.RelativePath).ShouldBe(
            ["Train/Fight/00.mp4", "Train/Fight/01.mp4", "Train/Fight/02.mp4", "Train/NonFight/00.mp4", "Train/NonFight/01.mp4"]);
        dataset.Warnings.ShouldBeEmpty();
    }

    [Fact]
    public void Clips_carry_path_label_source_hash_and_size()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 5).AddClips("normal", 5).Add("fight/00.mp4", "abc");

        Clip clip = folder.Scan().Clips.Single(clip => clip.RelativePath == "fight/00.mp4");

        clip.Path.ShouldBe(folder.File("fight/00.mp4"));
        clip.Label.ShouldBe(ClassLabel.Violent);
        clip.Source.ShouldBe("fight/00.mp4");
        clip.ContentHash.ShouldBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        clip.Bytes.ShouldBe(3);
        clip.Fault.ShouldBeNull();
    }

    [Fact]
    public void Every_video_extension_counts_in_any_case_and_at_any_depth()
    {
        using var folder = new DatasetFolder();
        string[] names = ["a.MP4", "b.avi", "c.Mov", "d.mkv", "e.webm", "f.FLV", "g.wmv", "h.m4v", "i.mpg", "deep/er/j.mpeg"];
        foreach (string name in names)
        {
            folder.Add("violent/" + name).Add("nonviolent/" + name);
        }

        folder.Scan().Clips.Count(clip => clip.Label == 1).ShouldBe(names.Length);
    }

    [Fact]
    public void What_is_not_a_clip_is_listed_with_the_reason()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 5).AddClips("normal", 5).Add("README.md").Add("stray.mp4").Add("fight/notes.txt").Add("fight/noextension")
            .Add("fight/._00.mp4").Add("fight/.git/x.mp4").Add("other/y.mp4");
        File.CreateSymbolicLink(folder.File("fight/dead.txt"), folder.File("nowhere"));

        folder.Scan().Ignored.Select(ignored => (ignored.RelativePath, ignored.Reason)).ShouldBe(
        [
            ("README.md", "not a video (.md)"),
            ("fight/._00.mp4", "hidden"),
            ("fight/.git/", "hidden"),
            ("fight/dead.txt", "broken link"),
            ("fight/noextension", "not a video (no extension)"),
            ("fight/notes.txt", "not a video (.txt)"),
            ("other/", "not a class folder"),
            ("stray.mp4", "a video outside the class folders"),
        ]);
    }

    [Fact]
    public void Links_are_followed_and_loops_end()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight/a", 5).AddClips("normal", 5);
        Directory.CreateDirectory(folder.Beside("elsewhere"));
        File.WriteAllText(Path.Combine(folder.Beside("elsewhere"), "linked.mp4"), "linked");
        Directory.CreateSymbolicLink(folder.File("fight/b"), folder.Beside("elsewhere"));
        Directory.CreateSymbolicLink(folder.File("fight/a/up"), folder.File("fight"));
        Directory.CreateSymbolicLink(folder.File("fight/Alias"), folder.File("fight/a"));
        Directory.CreateSymbolicLink(folder.File("fight/self"), folder.File("fight/self"));

        VideoDataset dataset = folder.Scan();

        dataset.Clips.Where(clip => clip.Label == 1).Select(clip => clip.RelativePath).Order(StringComparer.Ordinal).ShouldBe(
            ["fight/a/00.mp4", "fight/a/01.mp4", "fight/a/02.mp4", "fight/a/03.mp4", "fight/a/04.mp4", "fight/b/linked.mp4"]);
        dataset.Ignored.Select(ignored => ignored.RelativePath).ShouldBe(["fight/Alias/", "fight/a/up/", "fight/self"]);
    }

    [Fact]
    public void Special_and_missing_files_stay_as_clips_that_will_fail()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 5).AddClips("normal", 5).Add("fight/empty.mp4", "");
        TemporaryFolder.MakeFifo(folder.File("fight/pipe.mp4"));
        File.CreateSymbolicLink(folder.File("normal/dead.avi"), folder.File("nowhere"));
        File.CreateSymbolicLink(folder.File("normal/null.avi"), "/dev/null");

        var clips = folder.Scan().Clips.ToDictionary(clip => clip.RelativePath);

        clips["fight/empty.mp4"].Fault.ShouldBeNull();
        clips["fight/pipe.mp4"].Fault.ShouldBe(ClipFault.NotRegularFile);
        clips["normal/dead.avi"].Fault.ShouldBe(ClipFault.BrokenLink);
        clips["normal/null.avi"].Fault.ShouldBe(ClipFault.NotRegularFile);
        clips.Values.Where(clip => clip.Fault is not null).ShouldAllBe(clip => clip.ContentHash.Length == 64);
    }

    [Fact]
    public void Empty_files_are_not_copies_of_each_other()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("train/fight", 2).AddClips("train/normal", 2).AddClips("val/fight", 2).AddClips("val/normal", 2)
            .Add("train/fight/empty.mp4", "").Add("val/normal/empty.mp4", "");

        folder.Scan().Warnings.ShouldBeEmpty();
    }

    [Fact]
    public void Several_folders_of_one_class_are_merged_and_noted()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 4).AddClips("violence", 4).AddClips("normal", 8);

        VideoDataset dataset = folder.Scan();

        dataset.Table.Total.ShouldBe(new ClassCounts(8, 8));
        dataset.Notes.ShouldContain("The class violent is made of 'fight' and 'violence'.");
    }

    [Fact]
    public void Names_that_contradict_their_place_are_warned_about()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 5).AddClips("fight/normal", 2).AddClips("normal/train", 5);

        IReadOnlyList<string> warnings = folder.Scan().Warnings;

        warnings.ShouldContain(warning => warning.Contains("'fight/normal' is named like the class nonviolent"));
        warnings.ShouldContain(warning => warning.Contains("'normal/train' is named like a split"));
    }

    [Fact]
    public void Missing_val_is_taken_from_train_and_missing_test_is_noted()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("train/fight", 20).AddClips("train/normal", 40);

        VideoDataset dataset = folder.Scan(new DatasetOptions { Split = new SplitFractions(0.6, 0.2, 0.2) });

        dataset.Table.Rows.Select(row => row.Clips).ShouldBe([new ClassCounts(30, 15), new ClassCounts(10, 5)]);
        dataset[DatasetSplit.Test].ShouldBeEmpty();
        dataset.Notes.ShouldContain(note => note.Contains("no folder 'val'"));
        dataset.Notes.ShouldContain(note => note.Contains("no folder 'test'"));
    }

    [Fact]
    public void Without_a_test_share_there_is_no_test_split()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 10).AddClips("normal", 10);

        folder.Scan(new DatasetOptions { Split = SplitFractions.Parse("0.8,0.2") }).Table.Rows.Select(row => row.Clips)
            .ShouldBe([new ClassCounts(8, 8), new ClassCounts(2, 2)]);
    }

    [Fact]
    public void Equal_content_in_two_splits_is_a_leak()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("train/fight", 2).AddClips("train/normal", 2).AddClips("val/fight", 2).AddClips("val/normal", 2)
            .Add("train/fight/x.mp4", "same").Add("val/fight/y.mp4", "same");

        folder.Scan().Warnings.ShouldHaveSingleItem().ShouldBe(
            "Leak: 1 video is in more than one split, so results on val and test will look better than they are: "
            + "'train/fight/x.mp4' = 'val/fight/y.mp4'. Keep each video in one split.");
    }

    [Fact]
    public void One_source_in_two_split_folders_is_a_leak()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("train/fight", 2).AddClips("train/normal", 2).AddClips("val/fight", 2).AddClips("val/normal", 2)
            .Add("sources.csv", "path,class,source\ntrain/fight/00.mp4,fight,s1\ntrain/fight/01.mp4,fight,s1\nval/fight/00.mp4,fight,s1\nval/fight/01.mp4,fight,s2\n");

        folder.Scan().Warnings.ShouldContain(
            warning => warning.StartsWith("Leak: 1 source has clips") && warning.Contains("s1 (train 2, val 1)"));
    }

    [Fact]
    public void The_same_video_under_both_labels_is_warned_about()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 5).AddClips("normal", 5).Add("fight/x.mp4", "same").Add("normal/y.mp4", "same");

        folder.Scan().Warnings.ShouldHaveSingleItem()
            .ShouldContain("1 video is both in a violent and in a nonviolent folder: 'fight/x.mp4' = 'normal/y.mp4'");
    }

    [Fact]
    public void Copies_go_to_the_same_split()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 20).AddClips("normal", 20);
        for (int i = 0; i < 10; i++)
        {
            folder.Add($"fight/copy{i}.mp4", $"pair {i / 2}");
        }

        VideoDataset dataset = folder.Scan();

        dataset.Clips.Count().ShouldBe(50);
        dataset.Warnings.ShouldHaveSingleItem().ShouldStartWith("5 videos are more than once in the same split");
    }

    [Fact]
    public void The_result_does_not_depend_on_the_order_of_creation()
    {
        using var forward = new DatasetFolder();
        using var backward = new DatasetFolder();
        for (int i = 0; i < 30; i++)
        {
            forward.Add($"fight/{i}.mp4").Add($"normal/{i}.mp4");
            backward.Add($"normal/{29 - i}.mp4").Add($"fight/{29 - i}.mp4");
        }

        foreach (DatasetSplit split in DatasetSplits.All)
        {
            backward.Scan()[split].Select(clip => clip.RelativePath).ShouldBe(forward.Scan()[split].Select(clip => clip.RelativePath));
        }
    }

    [Fact]
    public void Another_seed_gives_another_split()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 20).AddClips("normal", 20);

        IEnumerable<string> first = folder.Scan(new DatasetOptions { Seed = 1 })[DatasetSplit.Train].Select(clip => clip.RelativePath);
        IEnumerable<string> second = folder.Scan(new DatasetOptions { Seed = 2 })[DatasetSplit.Train].Select(clip => clip.RelativePath);

        second.ShouldNotBe(first);
    }

    [Theory]
    [InlineData("0.7,0.15,0.15", 0.7, 0.15, 0.15)]
    [InlineData(" .8 , .2 ", 0.8, 0.2, 0)]
    [InlineData("0.9,0.1,0", 0.9, 0.1, 0)]
    public void Fractions_are_parsed(string text, double train, double validation, double test) =>
        SplitFractions.Parse(text).ShouldBe(new SplitFractions(train, validation, test));

    [Theory]
    [InlineData("")]
    [InlineData("0.7")]
    [InlineData("70,15,15")]
    [InlineData("0.7,0.2,0.2")]
    [InlineData("1,0,0")]
    [InlineData("0.5,0.6,-0.1")]
    [InlineData("a,b,c")]
    [InlineData("NaN,0.5,0.5")]
    [InlineData("0.25,0.25,0.25,0.25")]
    public void Other_fractions_are_refused(string text) =>
        Should.Throw<FormatException>(() => SplitFractions.Parse(text)).Message.ShouldContain($"'{text}' is not a split");
}
