using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Dataset;

/// <summary>Folders of other names than the known pair, folders put together, and labels from a table.</summary>
public sealed class AnyClassesTests
{
    private static readonly DatasetOptions Merged = new() { Classes = ClassMerge.Parse("violent=fight,robbery;normal=walk") };

    [Fact]
    public void Folders_of_other_names_are_classes_in_the_order_of_their_names()
    {
        using var folder = new DatasetFolder();

        VideoDataset dataset = folder.AddClips("walk", 6).AddClips("Robbery", 5).AddClips("fight", 4).Scan();

        dataset.Classes.Names.ShouldBe(["fight", "Robbery", "walk"]);
        dataset.Classes.IsViolence.ShouldBeFalse();
        dataset.Table.Total.ShouldBe(new ClassCounts(4, 5, 6));
        dataset.Clips.ShouldAllBe(clip => clip.RelativePath.StartsWith(dataset.Classes[clip.Label] + "/"));
        dataset.Table.Rows.ShouldAllBe(row => dataset.Classes.Missing(row.Clips).Count == 0);
        dataset.Notes.ShouldContain(note => note.StartsWith("The folders are 3 classes: fight, Robbery, walk."));
    }

    [Fact]
    public void Two_folders_of_other_names_are_two_classes_of_their_own()
    {
        using var folder = new DatasetFolder();

        ClassList classes = folder.AddClips("dogs", 6).AddClips("cats", 6).Scan().Classes;

        classes.Names.ShouldBe(["cats", "dogs"]);
        classes.IsViolence.ShouldBeFalse();
        classes.Scores.ShouldBe(2);
    }

    [Fact]
    public void A_third_folder_with_clips_makes_three_classes_of_the_known_pair()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("fight", 6).AddClips("normal", 6).AddClips("robbery", 6).Scan().Classes.Names
            .ShouldBe(["fight", "normal", "robbery"]);
        folder.Scan(new DatasetOptions { Classes = ClassMerge.Parse("violent=fight;nonviolent=normal") }).Classes
            .ShouldBe(ClassList.Violence);
    }

    [Fact]
    public void Split_folders_hold_the_same_classes_whatever_their_case()
    {
        using var folder = new DatasetFolder();

        VideoDataset dataset = folder.AddClips("train/Cats", 3).AddClips("train/dogs", 3).AddClips("val/cats", 2).AddClips("val/DOGS", 2)
            .Scan();

        dataset.Classes.Count.ShouldBe(2);
        dataset.Table.Rows.Select(row => row.Clips).ShouldBe([new ClassCounts(3, 3), new ClassCounts(2, 2)]);
    }

    [Fact]
    public void Folders_are_put_together_and_what_is_not_named_is_left_out()
    {
        using var folder = new DatasetFolder();

        VideoDataset dataset = folder.AddClips("fight", 4).AddClips("robbery", 4).AddClips("walk", 6).AddClips("other", 9).Scan(Merged);

        dataset.Classes.ShouldBe(ClassList.Violence);
        dataset.Table.Total.ShouldBe(new ClassCounts(6, 8));
        dataset.Ignored.ShouldContain(new IgnoredFile("other/", "not a class folder"));
        dataset.Notes.ShouldContain("The class violent is made of 'fight' and 'robbery'.");
    }

    [Fact]
    public void A_table_of_sources_may_name_the_folders_that_are_put_together()
    {
        using var folder = new DatasetFolder();
        string[] folders = ["fight", "robbery", "walk"];
        string rows = string.Concat(folders.SelectMany(name =>
            Enumerable.Range(0, 4).Select(i => $"{name}/{i:00}.mp4,{name},{name}{i}\n")));

        folder.AddClips("fight", 4).AddClips("robbery", 4).AddClips("walk", 4).Add("sources.csv", "path,class,source\n" + rows)
            .Scan(Merged).Warnings.ShouldBeEmpty();
        folder.Add("sources.csv", "path,class,source\n" + rows.Replace("walk/00.mp4,walk", "walk/00.mp4,fight"))
            .Refusal<FileFormatException>(Merged).ShouldContain("says 'walk/00.mp4' is fight, its folder says nonviolent");
    }

    [Theory]
    [InlineData("fight=fight", "two classes or more")]
    [InlineData("a=x;b=x", "the folder 'x' is named twice")]
    [InlineData("a=x=y;b=z", "'a=x=y' is not CLASS=FOLDER,FOLDER")]
    [InlineData("=x;b=z", "'=x' is not CLASS=FOLDER,FOLDER")]
    [InlineData("a=x,;b=z", "'a=x,' is not CLASS=FOLDER,FOLDER")]
    public void A_list_of_classes_that_makes_no_sense_is_refused(string text, string why) =>
        Should.Throw<FormatException>(() => ClassMerge.Parse(text)).Message.ShouldContain(why);

    [Fact]
    public void A_folder_to_be_merged_has_to_exist()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("fight", 4).AddClips("walk", 4).Refusal<DatasetException>(Merged)
            .ShouldContain("has no folder 'robbery', which Classes names; found 'fight', 'walk'");
    }

    [Fact]
    public void The_same_clip_in_two_folders_of_one_class_is_refused()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("fight", 4).AddClips("robbery", 4).AddClips("walk", 6).Add("robbery/x.mp4", "fight/01.mp4")
            .Refusal<DatasetException>(Merged)
            .ShouldBe("'fight/01.mp4' and 'robbery/x.mp4' are the same video, and both folders are the class 'violent': it would count " +
                "twice. Remove one of them.");
    }

    [Fact]
    public void A_class_of_too_few_clips_is_refused_by_name()
    {
        using var folder = new DatasetFolder();

        string message = folder.AddClips("fight", 5).AddClips("robbery", 5).AddClips("walk", 1).Refusal<DatasetException>();

        message.ShouldContain("needs at least 3 clips of each class");
        message.ShouldContain("found 'walk' with fewer (5 fight, 5 robbery, 1 walk)");
        message.ShouldContain("put it together with another (Classes)");
    }

    [Fact]
    public void A_test_folder_with_fewer_clips_than_classes_is_refused()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("train/a", 4).AddClips("train/b", 4).AddClips("train/c", 4).AddClips("test/a", 1).AddClips("test/b", 1)
            .Refusal<DatasetException>().ShouldStartWith(
                $"'{folder.File("test")}' has 2 clips for 3 classes (1 a, 1 b, 0 c): no clip stands for some of them. Add clips, or " +
                "remove the folder to do without a test.");
    }

    [Fact]
    public void Sources_that_cannot_give_every_split_each_class_are_told()
    {
        using var folder = new DatasetFolder();
        string rows = string.Concat(Enumerable.Range(0, 5).Select(i => $"walk/{i:00}.mp4,walk,street\n"));

        folder.AddClips("fight", 5).AddClips("robbery", 5).AddClips("walk", 5).Add("sources.csv", "path,class,source\n" + rows)
            .Refusal<DatasetException>().ShouldContain("there are 5 of fight, 5 of robbery, 1 of walk sources");
    }

    [Fact]
    public void A_table_labels_clips_that_lie_in_one_folder()
    {
        using var folder = new DatasetFolder();
        string[] classes = ["fight", "walk", "robbery"];
        string table = "class,path\n" + string.Concat(Enumerable.Range(0, 15).Select(i => $"{classes[i % 3]},clips/{i:00}.mp4\n"));

        VideoDataset dataset = folder.AddClips("clips", 16).Add("labels.csv", table)
            .Scan(new DatasetOptions { LabelsFile = folder.File("labels.csv") });

        dataset.Classes.Names.ShouldBe(["fight", "robbery", "walk"]);
        dataset.Table.Total.ShouldBe(new ClassCounts(5, 5, 5));
        dataset.Clips.Single(clip => clip.RelativePath == "clips/04.mp4").Label.ShouldBe(2);
        dataset.Ignored.ShouldBe([new IgnoredFile("clips/15.mp4", "no label")]);
    }

    [Fact]
    public void A_table_of_the_known_pair_labels_as_its_folders_would()
    {
        using var folder = new DatasetFolder();
        string table = "path,class\n" +
            string.Concat(Enumerable.Range(0, 8).Select(i => $"{i:00}.mp4,{(i % 2 == 0 ? "Fight" : "no-fight")}\n"));

        VideoDataset dataset = folder.AddClips(".", 8).Add("labels.csv", table)
            .Scan(new DatasetOptions { LabelsFile = folder.File("labels.csv") });

        dataset.Classes.ShouldBe(ClassList.Violence);
        dataset.Clips.Single(clip => clip.RelativePath == "00.mp4").Label.ShouldBe(ClassLabel.Violent);
    }

    [Theory]
    [InlineData("path,class\n00.mp4,a\nnowhere.mp4,b\n", "1 of its 2 lines label videos that do not exist: line 3 'nowhere.mp4'")]
    [InlineData("path,class\n00.mp4,a\n00.mp4,b\n", "'00.mp4' is 'a' on line 2 and 'b' on line 3")]
    [InlineData("path,class\n00.mp4,a\n01.mp4,A\n", "every clip is 'a'")]
    [InlineData("path,class\n00.mp4,\n", "line 2 gives no class")]
    [InlineData("path,kind\n00.mp4,a\n", "expected a column 'class'")]
    public void A_table_that_cannot_be_right_is_refused(string table, string why)
    {
        using var folder = new DatasetFolder();

        folder.AddClips(".", 4).Add("labels.csv", table)
            .Refusal<FileFormatException>(new DatasetOptions { LabelsFile = folder.File("labels.csv") }).ShouldContain(why);
    }

    [Fact]
    public void Groups_of_many_classes_are_divided_to_within_one_group()
    {
        double[] fractions = [0.7, 0.15, 0.15];
        var random = new Random(5);
        ClassCounts[] groups = [.. Enumerable.Range(0, 200).Select(_ =>
        {
            int[] counts = new int[6];
            counts[random.Next(6)] = 1 + random.Next(2);
            return new ClassCounts(counts);
        })];

        int[] assignment = GroupSplitter.Assign(groups, fractions, 42);

        ClassCounts total = groups.Aggregate(default(ClassCounts), (sum, group) => sum + group);
        for (int split = 0; split < fractions.Length; split++)
        {
            ClassCounts own = groups.Where((_, i) => assignment[i] == split).Aggregate(default(ClassCounts), (sum, group) => sum + group);
            for (int label = 0; label < 6; label++)
            {
                Math.Abs(own[label] - (fractions[split] * total[label])).ShouldBeLessThanOrEqualTo(2);
                own[label].ShouldBeGreaterThan(0);
            }
        }
    }

    [Fact]
    public void Counts_are_equal_whoever_counted()
    {
        new ClassCounts(3, 0).ShouldBe(ClassCounts.Of([0, 0, 0]));
        new ClassCounts(0, 0, 0).ShouldBe(default);
        (new ClassCounts(1, 2, 3) - new ClassCounts(1, 2, 3)).ShouldBe(default);
        (new ClassCounts(1) + new ClassCounts(0, 0, 2)).ShouldBe(new ClassCounts(1, 0, 2));
        new ClassCounts(1, 0, 2).GetHashCode().ShouldBe(ClassCounts.Of([0, 2, 2]).GetHashCode());
    }
}
