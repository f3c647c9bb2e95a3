using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;

namespace CudaTrainer.Engine.Formats.Onnx;

/// <summary>An input for a model: its bytes row-major and little-endian.</summary>
/// <param name="Type">F32 or U8.</param>
internal sealed record OnnxInput(string Name, ElementType Type, long[] Shape, ReadOnlyMemory<byte> Data);

/// <summary>What ONNX Runtime answered.</summary>
/// <param name="Version">Of ONNX Runtime; null where there is none.</param>
/// <param name="Absent">Why there is none; null where there is one.</param>
/// <param name="Outputs">By name, row-major.</param>
internal sealed record OnnxAnswer(string? Version, string? Absent, IReadOnlyDictionary<string, double[]> Outputs);

/// <summary>ONNX Runtime as npm's onnxruntime-node, in a process of its own.</summary>
/// <remarks>It is looked for as node does from the current folder, then in NODE_PATH, in the usual places of global packages, and where <c>scripts/peers.sh</c> installs it.</remarks>
internal static class OnnxRuntime
{
    private static readonly string[] _globalPackages = ["/usr/local/lib/node_modules", "/usr/lib/node_modules"];

    private static readonly Dictionary<string, double[]> _none = [];

    /// <summary>Runs a model on an input.</summary>
    /// <exception cref="RunException">ONNX Runtime refuses the model, or died.</exception>
    /// <exception cref="OperationCanceledException">Stopped; its process is ended.</exception>
    public static OnnxAnswer Run(string model, OnnxInput input, CancellationToken stop)
    {
        ProcessStartInfo start = new("node", ["-e", Script(), "--", Path.GetFullPath(model), input.Name, input.Type == ElementType.U8 ? "uint8" : "float32", string.Join(',', input.Shape)])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["NODE_PATH"] = NodePath();
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            return new OnnxAnswer(null, $"node: {exception.Message}", _none);
        }

        using (process)
        using (stop.Register(() => process.Kill(entireProcessTree: true)))
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(CancellationToken.None), error = process.StandardError.ReadToEndAsync(CancellationToken.None);
            try
            {
                process.StandardInput.BaseStream.Write(input.Data.Span);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It ended before it had read everything: its answer says why.
            }

            process.WaitForExit();
            stop.ThrowIfCancellationRequested();
            return Parse(output.Result, error.Result, process.ExitCode);
        }
    }

    private static OnnxAnswer Parse(string output, string error, int exitCode)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(output);
            JsonElement answer = json.RootElement;
            if (answer.TryGetProperty("absent", out JsonElement absent))
            {
                return new OnnxAnswer(null, absent.GetString(), _none);
            }

            if (answer.TryGetProperty("error", out JsonElement refused))
            {
                throw new RunException($"ONNX Runtime refuses the model: {refused.GetString()}");
            }

            return new OnnxAnswer(
                answer.GetProperty("version").GetString(),
                null,
                answer.GetProperty("outputs").EnumerateObject().ToDictionary(value => value.Name, value => value.Value.GetProperty("data").EnumerateArray().Select(Number).ToArray()));
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            string last = error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault() ?? "without a word";
            throw new RunException($"node, which ran ONNX Runtime, ended with {exitCode}: {last}", "--no-check leaves ONNX Runtime out.", exception);
        }
    }

    /// <summary>JSON has no NaN; JavaScript writes null.</summary>
    private static double Number(JsonElement element) => element.ValueKind == JsonValueKind.Null ? double.NaN : element.GetDouble();

    private static string Script()
    {
        using Stream stream = typeof(OnnxRuntime).Assembly.GetManifestResourceStream("onnxruntime.js")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private static string NodePath()
    {
        List<string> folders = [.. (Environment.GetEnvironmentVariable("NODE_PATH") ?? string.Empty).Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries), .. _globalPackages];
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            folders.Add(Path.Combine(folder.FullName, "peers", "node_modules"));
        }

        return string.Join(Path.PathSeparator, folders.Where(Directory.Exists));
    }
}
