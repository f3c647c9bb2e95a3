using System.IO.Compression;
using System.Text;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class TensorArchiveTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", "found an empty file. Accepted are .safetensors files, PyTorch files")]
    [InlineData("\x93NUMPY\x01\0v\0{", "found a NumPy array")]
    [InlineData("\x1f\x8b\x08\0", "found gzip-compressed data; unpack it first")]
    [InlineData("\x80\x04\x95\0\0", "found a Python pickle that torch.save did not write")]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:00",
        "found a Git LFS pointer instead of the file itself; run 'git lfs pull'")]
    [InlineData("\n <!DOCTYPE html><html>404", "found a web page, probably the error page of a failed download")]
    [InlineData("MZ\x90\0\x03\0\0\0\x04", "found unknown content starting with bytes 4D5A900003000000")]
    [InlineData("\x02\0\0\0\0\0\0\0", "found unknown content starting with bytes 0200000000000000")]
    public void Unknown_content_is_described(string content, string expected)
    {
        string path = _folder.File("weights.pth", Encoding.Latin1.GetBytes(content));

        Should.Throw<FileFormatException>(() => TensorArchive.Open(path)).Message.ShouldContain(expected);
    }

    [Theory]
    [InlineData("model.weights.h5 config.json metadata.json",
        "found a '.keras' file of Keras 3, whose layout is another one. Save the weights with Keras as model.save_weights('NAME.h5')")]
    [InlineData("a.npy b.npy", "found a NumPy archive (.npz), which is no weight file. Save its arrays with safetensors.numpy.save_file(")]
    [InlineData("weights.pth",
        "found a ZIP archive that torch.save did not write (1 files, the first 'weights.pth'). If the weights lie in it, unpack it")]
    public void Other_archives_are_told_apart(string members, string expected)
    {
        string path = _folder.File("weights.zip");
        using (ZipArchive zip = ZipFile.Open(path, ZipArchiveMode.Create))
        {
            foreach (string member in members.Split(' '))
            {
                zip.CreateEntry(member).Open().Dispose();
            }
        }

        Should.Throw<FileFormatException>(() => TensorArchive.Open(path)).Message.ShouldContain(expected);
    }

    [Fact]
    public void A_header_bomb_is_recognised_as_safetensors() =>
        Should.Throw<FileFormatException>(
            () => TensorArchive.Open(_folder.File("weights.bin", [255, 255, 255, 255, 255, 255, 255, 255, (byte)'{', (byte)'}'])))
            .Message.ShouldContain("a header of 18446744073709551615 bytes is declared");

    [Fact]
    public void The_extension_does_not_matter()
    {
        string path = _folder.File("weights.h5");
        SafetensorsWriter.Write(path, [NamedTensor.Of<float>("a", new float[] { 5 })]);

        using ITensorArchive archive = TensorArchive.Open(path);

        archive.ShouldBeOfType<Safetensors>();
        SafetensorsTests.Read(archive, "a").ShouldBe([5]);
    }

    [Fact]
    public void A_missing_file_is_named() =>
        Should.Throw<FileNotFoundException>(() => TensorArchive.Open(_folder.File("absent.pth")))
            .Message.ShouldBe($"'{_folder.File("absent.pth")}' does not exist.");

    [Fact]
    public void Hashes_are_those_of_sha256sum() =>
        FileHash.Sha256(_folder.File("abc", "abc"u8)).ShouldBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
