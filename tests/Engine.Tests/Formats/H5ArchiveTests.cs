using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

/// <summary>Keras files by h5py (golden/keras_make.py), and hostile ones.</summary>
public sealed class H5ArchiveTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public H5ArchiveTests() => Assert.SkipUnless(Hdf5Library.IsAvailable, Hdf5Library.Detail);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Weights_of_Keras_2_are_listed_in_the_order_of_the_layers()
    {
        using var archive = H5Archive.Open(GoldenFiles.Path("keras_2.h5"));

        archive.Layers.Select(layer => layer.Name).ShouldBe(["video_input", "lstm_1", "bn_1"]);
        archive.Layers[0].Weights.ShouldBeEmpty();
        archive.Layers[1].Weights.ShouldBe(
            ["lstm_1/lstm_1/lstm_cell/kernel:0", "lstm_1/lstm_1/lstm_cell/recurrent_kernel:0", "lstm_1/lstm_1/lstm_cell/bias:0"]);
        archive.Layers[2].Weights.ShouldBe(
            ["bn_1/bn_1/gamma:0", "bn_1/bn_1/beta:0", "bn_1/bn_1/moving_mean:0", "bn_1/bn_1/moving_variance:0"]);
        archive.Entries["lstm_1/lstm_1/lstm_cell/kernel:0"].ToString().ShouldBe("F32 [3, 8]");
        archive.KerasBackend.ShouldBe("tensorflow");
        archive.Metadata.ShouldBeEmpty();
        Read(archive, "lstm_1/lstm_1/lstm_cell/kernel:0").ShouldBe(Numbered(24));
        Read(archive, "bn_1/bn_1/moving_mean:0").ShouldBe([2, 1.75f]);
    }

    [Fact]
    public void Compressed_weights_of_a_whole_Keras_3_model_are_found_below_model_weights()
    {
        using var archive = H5Archive.Open(GoldenFiles.Path("keras_3.h5"));

        archive.Layers.Select(layer => layer.Name).ShouldBe(["video_input", "lstm_1"]);
        archive.Layers[1].Weights.ShouldBe(
            ["lstm_1/lstm_1/lstm_cell/kernel", "lstm_1/lstm_1/lstm_cell/recurrent_kernel", "lstm_1/lstm_1/lstm_cell/bias"]);
        foreach ((string name, TensorEntry entry) in archive.Entries)
        {
            Read(archive, name).ShouldBe(Numbered((int)entry.ElementCount));
        }
    }

    /// <summary>
    /// Names of 2016, lists in pieces, half and double precision, big-endian numbers, the latest file format, and a layer that does not
    /// list its weights.
    /// </summary>
    [Fact]
    public void Old_spellings_and_other_element_types_are_read()
    {
        using var archive = H5Archive.Open(GoldenFiles.Path("keras_1.h5"));

        archive.Layers.Select(layer => layer.Name).ShouldBe(["block1_conv1", "fc1", "old"]);
        archive.Layers[2].Weights.ShouldBe(["old/old_b:0"]);
        archive.KerasBackend.ShouldBeNull();
        archive.Entries["block1_conv1/block1_conv1_W_1:0"].ToString().ShouldBe("F16 [3, 3, 2, 4]");
        archive.Entries["block1_conv1/block1_conv1_b_1:0"].ToString().ShouldBe("F64 [4]");
        foreach ((string name, TensorEntry entry) in archive.Entries)
        {
            Read(archive, name).ShouldBe(Numbered((int)entry.ElementCount), name);
        }
    }

    [Theory]
    [InlineData("keras_soft.h5", "weight 'a/a/kernel:0' is listed but not there, or a link, which is not followed")]
    [InlineData("keras_external.h5", "weight 'a/a/kernel:0' is listed but not there, or a link, which is not followed")]
    [InlineData("keras_storage.h5", "weight 'a/a/kernel:0' lies in another file")]
    [InlineData("keras_v3.h5",
        "there is no attribute 'layer_names', so it is no Keras weight file in the legacy layout. Save the weights with Keras")]
    [InlineData("keras_crash.h5", "HDF5: ")]
    [InlineData("keras_loop.h5", "HDF5: reading it took more than 5 s and was given up")]
    public void What_is_unsafe_or_another_layout_is_refused(string file, string expected) =>
        Should.Throw<FileFormatException>(() => TensorArchive.Open(GoldenFiles.Path(file))).Message.ShouldContain(expected);

    [Fact]
    public void A_truncated_file_is_an_error_wherever_it_ends()
    {
        byte[] whole = File.ReadAllBytes(GoldenFiles.Path("keras_2.h5"));
        for (int i = 0; i < 50; i++)
        {
            string path = _folder.File("cut.h5", whole.AsSpan(0, whole.Length * i / 50));
            Should.Throw<FileFormatException>(() => TensorArchive.Open(path)).Message.ShouldContain(path);
        }
    }

    [Fact]
    public void Damaged_files_give_an_error_or_numbers() => Damage(100);

    [Fact]
    [Trait("Category", "Slow")]
    public void Many_damaged_files_give_an_error_or_numbers() => Damage(1_000);

    [Fact]
    public void Without_the_library_the_error_says_what_to_install()
    {
        (NativeHdf5? Native, string Detail) loaded = Hdf5Library.Load([_folder.File("absent.so")]);

        loaded.Native.ShouldBeNull();
        string message = Should.Throw<FileFormatException>(() => Hdf5Library.Require("model.h5", loaded)).Message;
        message.ShouldContain("'model.h5': this is an HDF5 (Keras) file, and the native HDF5 library does not load; tried ");
        message.ShouldContain(
            "absent.so (cannot open shared object file: No such file or directory). Install the Debian package libhdf5-dev and run " +
                "'make build'");
    }

    private static float[] Numbered(int count) => [.. Enumerable.Range(0, count).Select(i => i * 0.25f * (i % 2 == 1 ? -1 : 1))];

    private static float[] Read(ITensorArchive archive, string name)
    {
        float[] values = new float[archive.Entries[name].ElementCount];
        archive.Read(name, values);
        return values;
    }

    /// <summary>Reads files with flipped bits, with a piece of another file, and cut off.</summary>
    private void Damage(int files)
    {
        byte[][] golden = [.. Enumerable.Range(1, 3).Select(i => File.ReadAllBytes(GoldenFiles.Path($"keras_{i}.h5")))];
        Random random = new(5);
        int errors = 0;
        for (int i = 0; i < files; i++)
        {
            string path = _folder.File("damaged.h5", Damaged(golden, random));
            try
            {
                using ITensorArchive archive = TensorArchive.Open(path);
                foreach ((string name, TensorEntry entry) in archive.Entries)
                {
                    // A shape may have become anything; only what fits is asked for, as everywhere.
                    if (entry.ElementCount < 10_000)
                    {
                        Read(archive, name);
                    }
                }
            }
            catch (FileFormatException exception)
            {
                exception.Message.ShouldContain(path);
                errors++;
            }
        }

        errors.ShouldBeInRange(1, files - 1);
    }

    private static byte[] Damaged(byte[][] golden, Random random)
    {
        byte[] file = [.. golden[random.Next(golden.Length)]];
        switch (random.Next(4))
        {
            case 0:
                return file[..random.Next(8, file.Length)];
            case 1:
                byte[] other = golden[random.Next(golden.Length)];
                int length = random.Next(1, 2000);
                other.AsSpan(random.Next(other.Length - length), length).CopyTo(file.AsSpan(random.Next(8, file.Length - length)));
                return file;
            default:
                for (int flips = random.Next(1, 9); flips > 0; flips--)
                {
                    file[random.Next(8, file.Length)] ^= (byte)(1 << random.Next(8));
                }

                return file;
        }
    }
}
