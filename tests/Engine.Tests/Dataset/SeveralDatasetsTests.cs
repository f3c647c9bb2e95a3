using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Engine.Tests.Dataset;

/// <summary>Several folders as data sets beside each other.</summary>
public sealed class SeveralDatasetsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Clips_know_their_data_set_and_each_is_divided_as_by_itself()
    {
        AddClips("a/fight", 20);
        AddClips("a/normal", 20);
        AddClips("b/Violence", 10);
        AddClips("b/NonViolence", 14);

        VideoDataset both = Scan(["a", "b"]);

        both.Classes.ShouldBe(ClassList.Violence);
        both.Folders.Select(folder => folder.Name).ShouldBe(["a", "b"]);
        both.Clips.Count().ShouldBe(64);
        both.Clips.ShouldAllBe(clip => clip.RelativePath.StartsWith(clip.Dataset + "/") && clip.Source.StartsWith(clip.Dataset + "/"));
        foreach (string name in new[] { "a", "b" })
        {
            VideoDataset alone = DatasetScanner.Scan(_folder.File(name));
            alone.Clips.ShouldAllBe(clip => clip.Dataset == null);
            foreach (DatasetSplit split in DatasetSplits.All)
            {
                both[split].Where(clip => clip.Dataset == name).Select(clip => (clip.RelativePath, clip.Label))
                    .ShouldBe(alone[split].Select(clip => ($"{name}/{clip.RelativePath}", clip.Label)));
            }
        }

        both.Notes.ShouldContain(note => note.StartsWith("b: 24 clips (14 nonviolent, 10 violent) from 24 sources; train "));
    }

    [Fact]
    public void Sources_of_equal_names_are_different_sources()
    {
        foreach (string name in new[] { "a", "b" })
        {
            AddClips($"{name}/fight", 6);
            AddClips($"{name}/normal", 6);
            Write($"{name}/sources.csv", "path,class,source\n" + string.Concat(Enumerable.Range(0, 6).Select(i =>
                $"fight/{i:00}.mp4,fight,s{i / 2}\nnormal/{i:00}.mp4,normal,s{i / 2}\n")));
        }

        VideoDataset both = Scan(["a", "b"]);

        both.Clips.Select(clip => clip.Source).Distinct().Order().ShouldBe(["a/s0", "a/s1", "a/s2", "b/s0", "b/s1", "b/s2"]);
        both.Warnings.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void What_two_data_sets_have_stays_in_one_split_with_its_sources(int seed)
    {
        AddClips("a/fight", 12);
        AddClips("a/normal", 12);
        AddClips("b/fight", 12);
        AddClips("b/normal", 12);
        Write("b/fight/copy.mp4", "a/fight/03.mp4");
        Write("b/sources.csv", "path,source\nfight/copy.mp4,film\nnormal/05.mp4,film\n");

        VideoDataset both = Scan(["a", "b"], new DatasetOptions { Seed = seed });

        DatasetSplit SplitOf(string path) => DatasetSplits.All.Single(split => both[split].Any(clip => clip.RelativePath == path));
        SplitOf("b/fight/copy.mp4").ShouldBe(SplitOf("a/fight/03.mp4"));
        SplitOf("b/normal/05.mp4").ShouldBe(SplitOf("a/fight/03.mp4"));
        both.Warnings.ShouldContain(warning => warning.StartsWith("1 video is in more than one data set"));
        both.Warnings.ShouldNotContain(warning => warning.StartsWith("Leak:"));
        foreach (DatasetSplit split in DatasetSplits.All)
        {
            both[split].GroupBy(clip => clip.Dataset).ShouldAllBe(set => set.DistinctBy(clip => clip.Label).Count() == 2);
        }
    }

    [Fact]
    public void A_copy_of_a_clip_in_a_split_folder_follows_it()
    {
        foreach (string split in new[] { "train", "val", "test" })
        {
            AddClips($"b/{split}/fight", 2);
            AddClips($"b/{split}/normal", 2);
        }

        AddClips("a/fight", 9);
        AddClips("a/normal", 9);
        Write("a/fight/copy.mp4", "b/test/fight/01.mp4");

        VideoDataset both = Scan(["a", "b"]);

        both[DatasetSplit.Test].Select(clip => clip.RelativePath).ShouldContain("a/fight/copy.mp4");
        both[DatasetSplit.Test].Count(clip => clip.Dataset == "b").ShouldBe(4);
    }

    [Fact]
    public void Folders_of_one_name_are_told_apart_by_the_ones_above()
    {
        AddClips("lab/videos/fight", 4);
        AddClips("lab/videos/normal", 4);
        AddClips("street/videos/fight", 4);
        AddClips("street/videos/normal", 4);

        VideoDataset both = Scan(["lab/videos", "street/videos"]);

        both.Folders.Select(folder => folder.Name).ShouldBe(["lab/videos", "street/videos"]);
        DatasetFolders.FileOf("street/videos/fight/00.mp4", [_folder.File("lab/videos"), _folder.File("street/videos")])
            .ShouldBe(_folder.File("street/videos/fight/00.mp4"));
    }

    [Fact]
    public void A_mapping_may_name_folders_of_either_data_set()
    {
        AddClips("a/brawl", 4);
        AddClips("a/walk", 4);
        AddClips("b/robbery", 4);
        AddClips("b/Walk", 4);
        AddClips("b/scenery", 4);
        var options = new DatasetOptions { Classes = ClassMerge.Parse("violent=brawl,robbery;normal=walk") };

        VideoDataset both = Scan(["a", "b"], options);

        both.Classes.ShouldBe(ClassList.Violence);
        both.Clips.Where(clip => clip.Dataset == "b").Select(clip => (clip.RelativePath.Split('/')[1], clip.Label)).Distinct().Order()
            .ShouldBe([("Walk", 0), ("robbery", 1)]);
        Refusal(["a", "b"], new DatasetOptions { Classes = ClassMerge.Parse("violent=brawl,robery;normal=walk") })
            .ShouldContain("None of the data sets has a folder 'robery'");
    }

    [Fact]
    public void Equal_class_names_are_one_class_in_any_case_and_other_names_need_a_mapping()
    {
        AddClips("a/walk", 3);
        AddClips("a/hug", 3);
        AddClips("b/HUG", 3);
        AddClips("b/Walk", 3);
        AddClips("c/run", 3);
        AddClips("c/walk", 3);

        VideoDataset both = Scan(["a", "b"]);

        both.Classes.Names.ShouldBe(["hug", "walk"]);
        both.Clips.Single(clip => clip.RelativePath == "b/Walk/00.mp4").Label.ShouldBe(1);
        Refusal(["a", "c"]).ShouldSatisfyAllConditions(
            message => message.ShouldContain($"'{_folder.File("a")}' has the classes hug, walk"),
            message => message.ShouldContain($"'{_folder.File("c")}' has the classes run, walk"),
            message => message.ShouldContain("Classes CLASS=FOLDER"));
    }

    [Fact]
    public void What_does_not_go_together_is_refused()
    {
        AddClips("a/fight", 4);
        AddClips("a/normal", 4);
        AddClips("b/fight", 4);
        AddClips("c/fight", 4);
        AddClips("c/normal", 4);
        Write("c/normal/copy.mp4", "a/fight/01.mp4");
        Directory.CreateSymbolicLink(_folder.File("link"), _folder.File("a"));

        Refusal(["a", "a"]).ShouldContain("is given twice");
        Refusal(["a", "link"]).ShouldContain("are one folder");
        Refusal(["a", "a/fight"]).ShouldContain($"'{_folder.File("a/fight")}' lies in '{_folder.File("a")}'");
        Refusal(["a", "b"]).ShouldContain($"'{_folder.File("b")}' has clips of one class only");
        Refusal(["a", "c"]).ShouldContain("'a/fight/01.mp4' is violent and 'c/normal/copy.mp4' is nonviolent, but they are the same video");
        Refusal(["a", "c"], new DatasetOptions { GroupsFile = "g.csv" }).ShouldContain("'g.csv' is a table of one data set");
    }

    [Fact]
    public void The_list_of_videos_names_the_data_set_where_there_are_several()
    {
        foreach (string name in new[] { "a", "b" })
        {
            AddClips($"{name}/fight", 4);
            AddClips($"{name}/normal", 4);
        }

        Cached(DatasetScanner.Scan(_folder.File("a")), "one").ShouldSatisfyAllConditions(
            set => set.Datasets.ShouldBeNull(),
            _ => File.ReadLines(_folder.File("one/train_videos.csv")).First().ShouldBe("path,class,source,status"));
        Cached(Scan(["a", "b"]), "two").Datasets!.Distinct().ShouldBe(["a", "b"]);
        File.ReadLines(_folder.File("two/train_videos.csv")).First().ShouldBe("path,class,source,status,dataset");
    }

    public void Dispose() => _folder.Dispose();

    private FeatureSet Cached(VideoDataset dataset, string folder)
    {
        var key = new FeatureKey { Backbone = "none", Preprocessing = "none", Frames = 1, Dimension = 2 };
        using (FeatureCache cache = FeatureCache.Open(_folder.File(folder), key))
        {
            cache.Plan(dataset);
            foreach (string content in dataset.Clips.Select(clip => clip.ContentHash).Distinct())
            {
                cache.Append(content, [1, 2]);
            }

            cache.Commit(dataset);
        }

        using var set = FeatureSet.Open(_folder.File(folder), DatasetSplit.Train);
        return set;
    }

    private VideoDataset Scan(string[] names, DatasetOptions? options = null) =>
        DatasetScanner.Scan([.. names.Select(name => _folder.File(name))], options);

    private string Refusal(string[] names, DatasetOptions? options = null) =>
        Should.Throw<DatasetException>(() => Scan(names, options)).Message;

    private void AddClips(string folder, int count)
    {
        for (int i = 0; i < count; i++)
        {
            Write($"{folder}/{i:00}.mp4", $"{folder}/{i:00}.mp4");
        }
    }

    private void Write(string path, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder.File(path))!);
        File.WriteAllText(_folder.File(path), content);
    }
}
