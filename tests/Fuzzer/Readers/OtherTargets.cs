using System.Text;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Commands;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Serve;
using CudaTrainer.Training.Options;
using Microsoft.AspNetCore.Http;

namespace CudaTrainer.Fuzzer.Readers;

/// <summary>A file of options, JSON or YAML: whatever it holds, the reader lists what is wrong and throws nothing.</summary>
internal sealed class ConfigTarget(string name, string extension) : FuzzTarget(name)
{
    private readonly TrainCommand _command = new();

    public override IReadOnlyList<byte[]> Words { get; } =
        WordsOf("\"epochs\":", "\"split\":[", "\"learning-rate\":", "\"model\":", "\"focal-alpha\":", "\"preset\":\"original\"",
            "\\ud800", "\\u0000", "/*", "*/", "//", "null",
            "1e400", "{", "[", "]", "}", ",", "\xff", "epochs: ", "split:\n  - ", "&a ", "*a", "--- ", "|\n", "!!str ", "? ", "<<: ", "#");

    public override IEnumerable<byte[]> Seeds() =>
    [
        """
        { "epochs": 7, "batch_size": 16, "LearningRate": 1e-2, "shuffle": false,
          "split": [0.6, 0.2, 0.2], "weights": null, "device": "cpu", }
        """u8.ToArray(),
        """
        epochs: 7  # A comment.
        batch_size: "16"
        split:
        - 0.6
        - 0.2
        - 0.2
        weights: ~
        """u8.ToArray(),
    ];

    public override void Read(byte[] input, string folder)
    {
        List<string> problems = [];
        IReadOnlyList<GivenOption> given = ConfigFile.Read(FileOf(input, folder, $"input.{extension}"), _command.Options, problems);
        TrainOptions options = _command.Bind(given, problems, out _);
        _ = OptionValidation.OfSettings(options.Run).Count() + OptionValidation.Validate(options.Run).Count;
    }

    public override bool IsDocumented(Exception exception) => false;
}

/// <summary>An ONNX file that is compared with the graph it was written from.</summary>
internal sealed class OnnxTarget() : FuzzTarget("onnx")
{
    private static readonly OnnxGraph Graph = Make();

    public override IReadOnlyList<byte[]> Words { get; } =
        WordsOf("\x0a\x01x", "\x3a", "\x42", "\x1a", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x80\x80\x80\x80\x08", "Add",
            "Transpose", "\x80");

    public override IEnumerable<byte[]> Seeds()
    {
        using var stream = new MemoryStream();
        OnnxWriter.Write(stream, Graph, "1", new Dictionary<string, string> { ["a"] = "b" }, CancellationToken.None);
        yield return stream.ToArray();
    }

    public override void Read(byte[] input, string folder) => OnnxReadBack.Verify(FileOf(input, folder), Graph, CancellationToken.None);

    private static OnnxGraph Make()
    {
        var graph = new OnnxGraph("g");
        string x = graph.Input("x", ElementType.F32, 2, 3), b = graph.Constant<float>("b", [1, 2, 3], 3);
        string sum = graph.Add("Add", "sum", [x, b]);
        graph.Output(graph.Add("Transpose", "y", [sum], OnnxAttribute.Of("perm", 1, 0)), ElementType.F32, 3, 2);
        return graph;
    }
}

/// <summary>An upload: a line with the type of its content, one with the name in the address, and the body.</summary>
internal sealed class UploadTarget() : FuzzTarget("upload")
{
    private readonly UploadReader _reader = new(limit: 4096, UploadFolder.Create());

    public override IReadOnlyList<byte[]> Words { get; } =
        WordsOf("multipart/form-data; boundary=b", "--b", "--b--", "\r\n",
            "Content-Disposition: form-data; name=\"f\"; filename=\"v.mp4\"\r\n", "filename*=UTF-8''%e4",
            "\r\n\r\n", "boundary=\"", ";", "\"", "%00", "%ff", "\xe2\x80\xae", "Content-Type: video/mp4\r\n", "a/b\\c", ":",
                "=?utf-8?B?/w==?=");

    public override IEnumerable<byte[]> Seeds() =>
    [
        "video/mp4\nclip.mp4\nbytes of a video"u8.ToArray(),
        Encoding.ASCII.GetBytes("multipart/form-data; boundary=\"b\"\n\n"
            + "--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\ntext\r\n"
            + "--b\r\nContent-Disposition: form-data; name=\"video\"; filename=\"v.mp4\"; filename*=UTF-8''v%20.mp4\r\n"
            + "Content-Type: video/mp4\r\n\r\nbytes\r\n--b--\r\n"),
    ];

    public override void Read(byte[] input, string folder)
    {
        string file = Path.Combine(folder, "upload");
        File.Delete(file);
        string text = Encoding.Latin1.GetString(input);
        string[] parts = text.Split('\n', 3);
        var context = new DefaultHttpContext();
        context.Request.ContentType = parts[0];
        context.Request.QueryString = new QueryString("?name=" + (parts.Length > 1 ? parts[1] : string.Empty));
        context.Request.Body = new MemoryStream(Encoding.Latin1.GetBytes(parts.Length > 2 ? parts[2] : string.Empty));
        (string name, long bytes) = _reader.Read(context.Request, file, CancellationToken.None).GetAwaiter().GetResult();
        if (name.Length == 0 || name.Any(char.IsControl) || bytes != new FileInfo(file).Length)
        {
            throw new InvalidOperationException($"'{name}' of {bytes} bytes was taken");
        }
    }

    public override bool IsDocumented(Exception exception) => exception is ApiException;
}
