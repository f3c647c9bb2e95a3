using CudaTrainer.Data.Video;
using CudaTrainer.Formats;
using CudaTrainer.Fuzzer;

namespace CudaTrainer.Cli.Tests;

/// <summary>What hunts with changed inputs have found, kept in tests/fuzz: `make fuzz` goes on hunting.</summary>
public sealed class FuzzCorpusTests : IDisposable
{
    /// <summary>The native shim has its own hunt, and a folder like the others.</summary>
    private const string Video = "video";

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

    /// <summary>scripts/fuzz.sh reads the same under sanitizers.</summary>
    [Fact]
    public void Videos_that_once_showed_a_fault_are_read_or_refused()
    {
        Assert.SkipUnless(VideoLibrary.IsAvailable, VideoLibrary.Detail);
        const int frames = 4, side = 24;
        byte[] rgb = new byte[frames * side * side * 3];
        float[] motion = new float[frames * MotionFeatures.PerStep];
        foreach (string file in Inputs(Video))
        {
            foreach (bool tolerates in (bool[])[false, true])
            {
                VideoReadResult result = VideoReader.TryRead(
                    file, frames, rgb, motion, new VideoReadOptions
                    {
                        Width = side,
                        Height = side,
                        TolerateDamage = tolerates,
                        KeepBytes = 0
                    });

                result.Fault.ShouldNotBe(VideoFault.Internal, file);
                (result.Succeeded || result.Reason.Length > 0).ShouldBeTrue(file);
            }
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

        files.Select(file => Path.GetFileName(Path.GetDirectoryName(file))!).Except([.. Targets.Names, Video]).ShouldBeEmpty();
        files.Sum(file => new FileInfo(file).Length).ShouldBeLessThan(300_000);
    }

    public void Dispose() => _folder.Dispose();

    private static IEnumerable<string> Inputs(string name)
    {
        string folder = Path.Combine(Places.Corpus, name);
        return Directory.Exists(folder) ? Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal) : [];
    }
}
