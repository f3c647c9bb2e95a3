using System.Text;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class TextFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, bool> Encodings => new()
    {
        { "utf-8", false }, { "utf-8", true }, { "utf-16", true }, { "utf-16BE", true }, { "utf-32", true },
    };

    [Theory]
    [MemberData(nameof(Encodings))]
    public void A_mark_in_front_says_how_the_text_is_written_and_is_no_part_of_it(string name, bool mark)
    {
        Encoding encoding = Encoding.GetEncoding(name);
        string path = _folder.File("text", [.. mark ? encoding.GetPreamble() : [], .. encoding.GetBytes("für {}")]);

        TextFile.Read(path).ShouldBe("für {}");
        TextFile.Decode(path, File.ReadAllBytes(path)).ShouldBe("für {}");
    }

    [Fact]
    public void Bytes_that_are_no_text_are_named_as_such() =>
        Should.Throw<FileFormatException>(() => TextFile.Read(_folder.File("latin", [(byte)'f', 0xfc, (byte)'r']))).Message
            .ShouldEndWith("expected text in UTF-8, found bytes that are none. Save it as UTF-8.");

    public void Dispose() => _folder.Dispose();
}
