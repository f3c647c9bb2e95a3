using CudaTrainer.Formats;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

public sealed class OutputFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public OutputFileTests()
    {
        _folder.File("page.html", "<!DOCTYPE html>\n<title>a run</title>");
        _folder.File("bom.html", "\uFEFF\n<html>");
        _folder.File("ensemble.json", """{"members":[{"file":"a"}]}""");
        _folder.File("training_config.json", """{"epochs":3}""");
        _folder.File("empty", "");
        _folder.File("note.txt", "hours of work");
        _folder.File("clip.mp4", [0, 0, 0, 0x20, .. "ftypisom"u8, 0, 0, 2, 0]);
        _folder.File("clip.avi", [.. "RIFF"u8, 1, 2, 3, 4, .. "AVI LIST"u8]);
        SafetensorsWriter.Write(_folder.File("model.safetensors"), [NamedTensor.Of<float>("a", new float[] { 5 })]);
    }

    [Theory]
    [InlineData("new.html", OutputKind.Page)]
    [InlineData("page.html", OutputKind.Page)]
    [InlineData("bom.html", OutputKind.Page)]
    [InlineData("empty", OutputKind.Page)]
    [InlineData("empty", OutputKind.Model)]
    [InlineData("new.safetensors", OutputKind.Model)]
    [InlineData("new.json", OutputKind.Ensemble)]
    [InlineData("new/new.json", OutputKind.Ensemble)]
    [InlineData("clip.mp4", OutputKind.Video)]
    [InlineData("clip.avi", OutputKind.Video)]
    internal void What_is_of_the_same_kind_makes_room(string name, OutputKind kind) =>
        Should.NotThrow(() => OutputFile.Require(_folder.File(name), kind, overwrite: false, "Output"));

    [Theory]
    [InlineData("model.safetensors", OutputKind.Page, "it is no HTML page")]
    [InlineData("note.txt", OutputKind.Page, "it is no HTML page")]
    [InlineData("training_config.json", OutputKind.Ensemble, "it is no ensemble")]
    [InlineData("model.safetensors", OutputKind.Ensemble, "it is no ensemble")]
    [InlineData("note.txt", OutputKind.Video, "it is no video")]
    [InlineData("model.safetensors", OutputKind.Video, "it is no video")]
    [InlineData("model.safetensors", OutputKind.Model, "is there already")]
    [InlineData("page.html", OutputKind.Model, "is there already")]
    internal void What_is_of_another_kind_stays_unless_somebody_says_so(string name, OutputKind kind, string expected)
    {
        RunException error = Should.Throw<RunException>(() => OutputFile.Require(_folder.File(name), kind, overwrite: false, "Output"));

        error.Message.ShouldContain(expected);
        error.Hint.ShouldBe("Choose another name for Output, or give Overwrite to replace it.");
        Should.NotThrow(() => OutputFile.Require(_folder.File(name), kind, overwrite: true, "Output"));
    }

    [Theory]
    [InlineData("", "is a folder")]
    [InlineData("nowhere/page.html", "does not exist")]
    [InlineData("pipe", "is no regular file")]
    public void What_cannot_be_a_file_is_refused_before_the_work(string name, string expected)
    {
        TemporaryFolder.MakeFifo(_folder.File("pipe"));

        Should.Throw<RunException>(() => OutputFile.Require(_folder.File(name), OutputKind.Page, overwrite: true, "Output")).Message
            .ShouldContain(expected);
    }

    public void Dispose() => _folder.Dispose();
}
