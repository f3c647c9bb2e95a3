using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Dataset;

public sealed class SourceTableTests
{
    private const string Header = "path,class,source\n";

    [Theory]
    [InlineData("path,class,source\nfight/00.mp4,fight,s1\nnormal/00.mp4,normal,s1\n")]
    [InlineData("\uFEFFpath,class,source\r\nfight/00.mp4,fight,s1\r\nnormal/00.mp4,normal,s1")]
    [InlineData("Source,PATH,extra,Class\n s1 ,fight/00.mp4,,violent\ns1,\"normal/00.mp4\",\"a\"\"b,\nc\",nofight\n")]
    [InlineData("path;class;source\rfight\\00.mp4;fight;s1\r\r./normal/00.mp4;normal;s1\r")]
    [InlineData("path\tclass\tsource\nfight/00.mp4\tfight\ts1\nnormal/../normal/00.mp4\tnormal\ts1\n")]
    public void Sources_are_read_from_any_dialect(string table)
    {
        using DatasetFolder folder = Folder(table);

        var clips = folder.Scan().Clips.ToDictionary(clip => clip.RelativePath, clip => clip.Source);

        clips["fight/00.mp4"].ShouldBe("s1");
        clips["normal/00.mp4"].ShouldBe("s1");
        clips["fight/01.mp4"].ShouldBe("fight/01.mp4");
    }

    [Fact]
    public void A_given_file_wins_over_the_one_in_the_folder_and_may_use_absolute_paths()
    {
        using DatasetFolder folder = Folder(Header + "fight/00.mp4,fight,inside\n");
        string groups = folder.Beside("groups.csv");
        File.WriteAllText(groups, Header + $"{folder.File("fight/00.mp4")},fight,given\n");

        folder.Scan(new DatasetOptions { GroupsFile = groups }).Clips.Single(clip => clip.RelativePath == "fight/00.mp4")
            .Source.ShouldBe("given");
    }

    [Fact]
    public void Paths_may_be_relative_to_the_table()
    {
        using DatasetFolder folder = Folder(Header + "00.mp4,fight,s1\n");
        File.Move(folder.File("sources.csv"), folder.File("fight/groups.csv"));

        folder.Scan(new DatasetOptions { GroupsFile = folder.File("fight/groups.csv") })
            .Clips.Single(clip => clip.RelativePath == "fight/00.mp4").Source.ShouldBe("s1");
    }

    [Fact]
    public void The_table_in_use_is_not_listed_as_ignored()
    {
        using DatasetFolder folder = Folder(Header + "fight/00.mp4,fight,s1\n");

        folder.Scan().Ignored.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("", "the file is empty")]
    [InlineData("path,class\nfight/00.mp4,fight\n", "line 1: expected a column 'source', found 'path', 'class'")]
    [InlineData("fight/00.mp4,fight,s1\n", "expected a column 'path', found 'fight/00.mp4'")]
    [InlineData("path,source,source\nfight/00.mp4,a,b\n", "the column 'source' occurs 2 times")]
    [InlineData(Header + "fight/00.mp4,fight\n", "line 2 has 2 fields, expected 3")]
    [InlineData(Header + "\nfight/00.mp4,fight,\"s1\nfight/01.mp4,fight,s1\n", "line 3: a quoted field never ends")]
    [InlineData(Header + "fight/00.mp4,fight,\"s\"1\n", "line 2: '1' follows a closing quote")]
    [InlineData(Header + "fight/00.mp4,normal,s1\n", "line 2 says 'fight/00.mp4' is normal, its folder says violent")]
    [InlineData(Header + "fight/00.mp4,fight,s1\nfight/01.mp4,fight,s1\nfight/00.mp4,fight,s2\n",
        "'fight/00.mp4' has the source 's1' on line 2 and 's2' on line 4")]
    [InlineData(Header + "fi00.mp4,fight,s1\n", "none of its 1 rows names a clip of the dataset (line 2 'fi00.mp4')")]
    [InlineData("path\0", "found binary data")]
    public void An_unusable_table_is_refused_by_name_and_line(string table, string expected)
    {
        using DatasetFolder folder = Folder(table);

        string message = folder.Refusal<FileFormatException>();

        message.ShouldStartWith($"'{folder.File("sources.csv")}'");
        message.ShouldContain(expected);
    }

    [Theory]
    [InlineData(Header + "fight/00.mp4,fight,s1\nfight/99.mp4,fight,s1\n", "1 rows name no clip of the dataset: line 3 'fight/99.mp4'")]
    [InlineData(Header + "fight/00.mp4,fight,s1\nfight/00.mp4,fight,s1\n", "1 rows repeat an earlier row: line 3")]
    [InlineData(Header + "fight/00.mp4,fight,\nfight/01.mp4,fight,s1\n",
        "1 rows give no source, so the clip counts as its own source: line 2")]
    [InlineData(Header + "fight/00.mp4,Abuse,s1\n", "1 rows give an unknown class; the folder decides: line 2 'Abuse'")]
    [InlineData("path,source\nfight/00.mp4,s1\n", "has no column 'class'")]
    [InlineData(Header + "fight/00.mp4,fight,s1\n",
        "19 clips have no row, so each counts as its own source: 'fight/01.mp4'; 'fight/02.mp4';")]
    public void A_doubtful_table_is_used_with_a_warning(string table, string expected)
    {
        using DatasetFolder folder = Folder(table);

        folder.Scan().Warnings.ShouldContain(warning => warning.Contains(expected));
    }

    [Fact]
    public void A_missing_table_is_an_error_when_it_was_asked_for()
    {
        using DatasetFolder folder = Folder(null);

        folder.Refusal<DatasetException>(new DatasetOptions { GroupsFile = folder.File("nowhere.csv") })
            .ShouldContain("does not exist. Check Groups.");
    }

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("a,b", "\"a,b\"")]
    [InlineData("say \"hi\"", "\"say \"\"hi\"\"\"")]
    [InlineData("two\nlines", "\"two\nlines\"")]
    [InlineData(" padded ", "\" padded \"")]
    public void Quoting_survives_reading(string value, string expected)
    {
        CsvFile.Quote(value).ShouldBe(expected);
        CsvFile.Parse("x.csv", $"{CsvFile.Quote(value)},z\n").ShouldHaveSingleItem().Fields.ShouldBe([value, "z"]);
    }

    /// <summary>The file has holes, so it takes no room on the disk.</summary>
    [Fact]
    public void A_file_of_the_size_of_a_film_is_refused_before_it_is_read()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("film.csv");
        using (FileStream file = File.Create(path))
        {
            file.SetLength((1L << 28) + 1);
        }

        Should.Throw<FileFormatException>(() => CsvFile.Read(path)).Message.ShouldContain("it has 268435457 bytes");
    }

    private static DatasetFolder Folder(string? table)
    {
        DatasetFolder folder = new DatasetFolder().AddClips("fight", 10).AddClips("normal", 10);
        return table is null ? folder : folder.Add("sources.csv", table);
    }
}
