using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Cache;

/// <summary>Reading features, from the cache and from arrays that NumPy saved.</summary>
public sealed class FeatureSetTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Committed_features_are_read_with_their_names()
    {
        using var fixture = new CacheFixture();
        VideoDataset dataset = CacheFixture.Dataset(CacheFixture.Clips(4, 3, 9), test: CacheFixture.Clips(5, 6));
        fixture.Run(dataset);

        using var features = FeatureSplits.Open(fixture.Directory);

        features.All.Select(set => set.Split).ShouldBe(DatasetSplits.All);
        (features.Train.Count, features.Train.Frames, features.Train.Dimension).ShouldBe((3, 2, 3));
        features.Train.Labels.ToArray().ShouldBe([0, 1, 1]);
        features.Train.Names.ShouldBe(["004.mp4", "003.mp4", "009.mp4"]);
        features.Train.Key.ShouldBe(CacheFixture.Key.Fields);
        features.Train.Classes.ShouldBe(new ClassCounts(1, 2));
        float[] row = new float[6];
        features.Train.ReadRow(2, row);
        row.ShouldBe(CacheFixture.Features(dataset[DatasetSplit.Train][2].ContentHash));
    }

    [Fact]
    public unsafe void Rows_are_also_memory()
    {
        SaveFeatures("train", 3);
        Save("train_labels.npy", new long[] { 0, 1, 0 }, 3);

        using var set = FeatureSet.Open(_folder.Path, DatasetSplit.Train);

        ((float*)set.RowPointer(2))[1].ShouldBe(13);
        set.RowBytes.ShouldBe(24);
    }

    [Fact]
    public void Arrays_alone_suffice()
    {
        SaveSplit("train", [0, 1, 1]);
        SaveSplit("val", [1, 0]);

        using var features = FeatureSplits.Open(_folder.Path);

        features.Test.ShouldBeNull();
        features.Train.Names.ShouldBe(["row 0 of train_features.npy", "row 1 of train_features.npy", "row 2 of train_features.npy"]);
        features.Train.Key.ShouldBeEmpty();
        features.Validation.Labels.ToArray().ShouldBe([1, 0]);
    }

    [Fact]
    public void Labels_may_have_any_number_type()
    {
        SaveFeatures("train", 3);
        ReadLabels(new long[] { 0, 1, 1 }, 3);
        ReadLabels(new int[] { 0, 1, 1 }, 3);
        ReadLabels(new byte[] { 0, 1, 1 }, 3);
        ReadLabels(new sbyte[] { 0, 1, 1 }, 3);
        ReadLabels(new ushort[] { 0, 1, 1 }, 3);
        ReadLabels(new[] { false, true, true }, 3);
        ReadLabels(new[] { 0f, 1f, 1f }, 3);
        ReadLabels(new[] { 0.0, 1.0, 1.0 }, 3);
        ReadLabels(new[] { (Half)0, (Half)1, (Half)1 }, 3);
        ReadLabels(new long[] { 0, 1, 1 }, 3, 1);
        ReadLabels(new float[] { 1, 0, 0, 1, 0, 1 }, 3, 2);
        ReadLabels(new byte[] { 1, 0, 0, 1, 0, 1 }, 3, 2);

        void ReadLabels<T>(T[] labels, params long[] shape)
            where T : unmanaged
        {
            Save("train_labels.npy", labels, shape);
            using var set = FeatureSet.Open(_folder.Path, DatasetSplit.Train);
            set.Labels.ToArray().ShouldBe([0, 1, 1], typeof(T).Name);
        }
    }

    public static TheoryData<double[], long[], string> WrongLabels() => new()
    {
        { [0, 1], [2], "expected 3 labels, one for each row of" },
        { [0, 1, 2], [3], "the label of row 2 is 2, expected 0 or 1" },
        { [0, -1, 1], [3], "the label of row 1 is -1, expected 0 or 1" },
        { [0, 0.5, 1], [3], "the label of row 1 is 0.5, expected 0 or 1" },
        { [double.NaN, 0, 1], [3], "the label of row 0 is NaN, expected 0 or 1" },
        { [1, 0, 1, 1, 0, 1], [3, 2], "the label of row 1 is [1, 1], expected [1, 0] or [0, 1]" },
        { [1, 0, 0, 0, 0, 1], [3, 2], "the label of row 1 is [0, 0], expected [1, 0] or [0, 1]" },
        { [1, 0, 0, 1, 0, 0, 1, 0, 0], [3, 3], "expected labels of shape [3], found [3, 3]" },
        { [1], [], "expected labels of shape [3], found []" },
    };

    [Theory]
    [MemberData(nameof(WrongLabels))]
    public void Wrong_labels_are_refused_by_file_and_row(double[] labels, long[] shape, string expected)
    {
        SaveFeatures("train", 3);
        Save("train_labels.npy", labels, shape);

        string message = Should.Throw<FileFormatException>(() => FeatureSet.Open(_folder.Path, DatasetSplit.Train)).Message;

        message.ShouldStartWith($"'{_folder.File("train_labels.npy")}'");
        message.ShouldContain(expected);
    }

    [Fact]
    public void Wrong_features_are_refused()
    {
        Save("train_labels.npy", new long[] { 0, 1 }, 2);

        Save("train_features.npy", new float[6], 2, 3);
        Refusal().ShouldContain("expected features of shape [videos, frames, features], found [2, 3]");
        Save("train_features.npy", new float[0], 0, 2, 3);
        Refusal().ShouldContain("found [0, 2, 3]");
        Save("train_features.npy", new double[6], 2, 1, 3);
        Refusal().ShouldContain("expected float32 or float16 features, found F64. Save them with array.astype('float32').");

        string Refusal() => Should.Throw<FileFormatException>(() => FeatureSet.Open(_folder.Path, DatasetSplit.Train)).Message;
    }

    [Fact]
    public void Splits_must_agree()
    {
        SaveSplit("train", [0, 1]);
        Save("val_features.npy", new float[2 * 2 * 4], 2, 2, 4);
        Save("val_labels.npy", new long[] { 0, 1 }, 2);

        Should.Throw<FileFormatException>(() => FeatureSplits.Open(_folder.Path)).Message
            .ShouldContain($"expected [N, 2, 3] of F32 as in '{_folder.File("train_features.npy")}', found [2, 2, 4] of F32");
    }

    [Fact]
    public void A_split_of_one_class_is_refused()
    {
        SaveSplit("train", [0, 1]);
        SaveSplit("val", [1, 1]);

        Should.Throw<FileFormatException>(() => FeatureSplits.Open(_folder.Path)).Message
            .ShouldStartWith($"'{_folder.File("val_labels.npy")}': the split has 0 nonviolent, 2 violent clips, expected both classes");
    }

    [Fact]
    public void Missing_files_are_named()
    {
        SaveSplit("train", [0, 1]);

        Should.Throw<CacheException>(() => FeatureSplits.Open(_folder.Path))
            .Message.ShouldStartWith($"'{_folder.File("val_features.npy")}' does not exist.");
        SaveFeatures("val", 2);
        Should.Throw<CacheException>(() => FeatureSplits.Open(_folder.Path))
            .Message.ShouldStartWith($"'{_folder.File("val_labels.npy")}' does not exist.");
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void The_first_number_that_is_not_finite_is_found_wherever_it_is(float value)
    {
        const int elements = 3 * 2 * 37;
        Save("train_labels.npy", new long[] { 0, 1, 0 }, 3);
        for (int index = 0; index < elements; index += 5)
        {
            float[] singles = new float[elements];
            singles[index] = value;
            singles[^1] = float.NaN;
            (int, int, int) expected = (index / 74, index % 74 / 37, index % 37);
            Save("train_features.npy", singles, 3, 2, 37);
            Find().ShouldBe(expected);
            Save("train_features.npy", Array.ConvertAll(singles, single => (Half)single), 3, 2, 37);
            Find().ShouldBe(expected);
        }

        (int, int, int)? Find()
        {
            using var set = FeatureSet.Open(_folder.Path, DatasetSplit.Train);
            return set.FindNonFinite() is { } found ? (found.Row, found.Frame, found.Element) : null;
        }
    }

    [Fact]
    public void The_largest_numbers_are_finite()
    {
        Save("train_labels.npy", new long[] { 0, 1 }, 2);
        Save("train_features.npy", Enumerable.Repeat(float.MaxValue, 2 * 2 * 35).ToArray(), 2, 2, 35);

        using var set = FeatureSet.Open(_folder.Path, DatasetSplit.Train);

        set.FindNonFinite().ShouldBeNull();
    }

    [Fact]
    public void Committed_files_that_do_not_belong_together_are_refused()
    {
        using var fixture = new CacheFixture();
        fixture.Run(CacheFixture.Dataset(CacheFixture.Clips(1, 2, 3, 4)));

        NpyFile.Write<long>(fixture.File("train_labels.npy"), [1, 1, 0, 0], 4);
        Refusal().ShouldStartWith(
            $"'{fixture.File("train_labels.npy")}': it is not the file that 'train_rows.json' describes: its checksum differs");
        NpyFile.Write<float>(fixture.File("train_features.npy"), new float[24], 4, 2, 3);
        NpyFile.Write<long>(fixture.File("train_labels.npy"), [1, 0, 1, 0], 4);
        Refusal().ShouldContain("the checksum of row 0 differs");
        NpyFile.Write<float>(fixture.File("train_features.npy"), new float[18], 3, 2, 3);
        Refusal().ShouldContain("expected [4, 2, 3] of F32, found [3, 2, 3] of F32");
        File.Delete(fixture.File("train_rows.json"));
        NpyFile.Write<long>(fixture.File("train_labels.npy"), [1, 0, 1], 3);
        FeatureSet.Open(fixture.Directory, DatasetSplit.Train).Dispose();

        string Refusal() => Should.Throw<FileFormatException>(() => FeatureSet.Open(fixture.Directory, DatasetSplit.Train)).Message;
    }

    public void Dispose() => _folder.Dispose();

    private void SaveSplit(string split, long[] labels)
    {
        SaveFeatures(split, labels.Length);
        Save($"{split}_labels.npy", labels, labels.Length);
    }

    private void SaveFeatures(string split, int count) =>
        Save($"{split}_features.npy", Enumerable.Range(0, count * 6).Select(i => (float)i).ToArray(), count, 2, 3);

    private void Save<T>(string name, T[] data, params long[] shape)
        where T : unmanaged => NpyFile.Write<T>(_folder.File(name), data, shape);
}
