using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Engine.Tests.Dataset;

public sealed class DatasetErrorTests
{
    [Fact]
    public void A_missing_folder_is_named()
    {
        using var folder = new DatasetFolder();
        string path = folder.File("nowhere");

        Should.Throw<DatasetException>(() => DatasetScanner.Scan(path)).Message.ShouldBe(
            $"The dataset folder '{path}' does not exist. Check DatasetPath.");
    }

    [Fact]
    public void A_file_is_not_a_dataset()
    {
        using var folder = new DatasetFolder();
        folder.Add("a.mp4");

        Should.Throw<DatasetException>(() => DatasetScanner.Scan(folder.File("a.mp4")))
            .Message.ShouldContain("is a file, expected a folder");
    }

    [Fact]
    public void An_empty_folder_says_what_is_expected()
    {
        using var folder = new DatasetFolder();

        string message = folder.Refusal<DatasetException>();

        message.ShouldContain($"'{folder.Path}' is not a dataset");
        message.ShouldContain("found no folders at all");
        message.ShouldContain("nonviolent, non-violent");
    }

    [Fact]
    public void Unknown_folders_are_named()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("cats", 1).AddClips("dogs", 1).Refusal<DatasetException>().ShouldContain("found 'cats', 'dogs'");
    }

    [Fact]
    public void A_dataset_one_level_down_is_pointed_at()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("RWF-2000/train/Fight", 1).Refusal<DatasetException>().ShouldContain($"Give '{folder.File("RWF-2000")}' instead");
    }

    [Fact]
    public void A_class_folder_points_at_the_folder_above()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 1);

        Should.Throw<DatasetException>(() => DatasetScanner.Scan(folder.File("fight"))).Message.ShouldContain("Give the folder above it");
    }

    [Fact]
    public void Both_layouts_at_once_are_refused()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("train/fight", 1).AddClips("normal", 1).Refusal<DatasetException>()
            .ShouldContain("both split folders ('train') and class folders ('normal')");
    }

    [Fact]
    public void One_class_only_is_refused_with_the_counts()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("fight", 7).AddFolder("normal").Refusal<DatasetException>()
            .ShouldStartWith($"'{folder.Path}' has clips of one class only: 0 nonviolent, 7 violent.");
    }

    [Fact]
    public void Class_folders_without_videos_are_refused()
    {
        using var folder = new DatasetFolder();

        folder.Add("fight/readme.txt").AddFolder("normal").Refusal<DatasetException>().ShouldContain("has no video in its class folders");
    }

    [Theory]
    [InlineData("val", "take val from train")]
    [InlineData("test", "do without a test")]
    public void A_split_folder_with_one_class_is_refused_by_name(string split, string remedy)
    {
        using var folder = new DatasetFolder();
        folder.AddClips("train/fight", 4).AddClips("train/normal", 4).AddClips($"{split}/normal", 3);

        string message = folder.Refusal<DatasetException>();

        message.ShouldStartWith($"'{folder.File(split)}' has clips of one class only: 3 nonviolent, 0 violent.");
        message.ShouldContain(remedy);
    }

    [Fact]
    public void An_empty_split_folder_is_refused_by_name()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("train/fight", 4).AddClips("train/normal", 4).AddFolder("test").Refusal<DatasetException>()
            .ShouldStartWith($"'{folder.File("test")}' has no video");
    }

    [Fact]
    public void Split_folders_without_train_are_refused()
    {
        using var folder = new DatasetFolder();

        folder.AddClips("val/fight", 4).AddClips("test/normal", 4).Refusal<DatasetException>().ShouldContain("but no folder 'train'");
    }

    [Fact]
    public void An_impossible_division_says_exactly_why()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight", 6).AddClips("normal", 6)
            .Add("sources.csv", "path,class,source\n" + string.Concat(Enumerable.Range(0, 6).Select(i => $"fight/{i:00}.mp4,fight,cinema{i % 2}\n")));

        folder.Refusal<DatasetException>().ShouldBe(
            $"'{folder.Path}' cannot be divided into 3 splits that each have both classes, because clips of one source stay together: "
            + "0 of its sources have clips of both classes, 6 only nonviolent and 2 only violent ones, which is enough for 2. "
            + "Add clips of more sources, or ask for two splits (Split 0.8,0.2).");
    }

    [Fact]
    public void A_folder_that_goes_away_in_the_middle_is_noted_and_leaves_the_rest()
    {
        using var folder = new DatasetFolder();
        folder.AddClips("fight/a", 2).AddClips("fight/b", 2);
        var walker = new FolderWalker(folder.Path);
        List<string> walked = [];

        foreach ((FolderEntry visited, _) in walker.Walk(walker.Root))
        {
            walked.Add(visited.RelativePath);
            if (visited.RelativePath == "fight")
            {
                Directory.Delete(folder.File("fight/a"), recursive: true);
            }
        }

        walked.ShouldBe(["", "fight", "fight/b", "fight/a"]);
        walker.Warnings.ShouldHaveSingleItem().ShouldBe($"left out: '{folder.File("fight/a/")}': cannot be read: it is no longer there");
    }

    [Fact]
    public void A_folder_that_cannot_be_listed_is_named()
    {
        var walker = new FolderWalker("/");

        // Listing it fails for every user, the administrator included.
        Should.Throw<DatasetException>(() => walker.List("dev/null")).Message.ShouldStartWith("The folder '/dev/null' cannot be read");
    }
}
