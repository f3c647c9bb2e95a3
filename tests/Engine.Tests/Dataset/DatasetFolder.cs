using System.Text;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Engine.Tests.Dataset;

/// <summary>A dataset's folder on disk, with files that only look like videos.</summary>
internal sealed class DatasetFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public DatasetFolder() => Directory.CreateDirectory(Path);

    public string Path => _folder.File("data");

    /// <summary>A folder beside the dataset.</summary>
    public string Beside(string name) => _folder.File(name);

    public string File(string relativePath) => System.IO.Path.Combine(Path, relativePath);

    /// <summary>Adds a file; its content is its own path unless given.</summary>
    public DatasetFolder Add(string relativePath, string? content = null)
    {
        string path = File(relativePath);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        System.IO.File.WriteAllText(path, content ?? relativePath, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        return this;
    }

    /// <summary>Adds <paramref name="count"/> clips named 00.mp4, 01.mp4… to a folder.</summary>
    public DatasetFolder AddClips(string folder, int count)
    {
        for (int i = 0; i < count; i++)
        {
            Add($"{folder}/{i:00}.mp4");
        }

        return this;
    }

    public DatasetFolder AddFolder(string relativePath)
    {
        Directory.CreateDirectory(File(relativePath));
        return this;
    }

    public VideoDataset Scan(DatasetOptions? options = null) => DatasetScanner.Scan(Path, options);

    /// <summary>The message of the exception that scanning throws.</summary>
    public string Refusal<TException>(DatasetOptions? options = null)
        where TException : Exception => Should.Throw<TException>(() => Scan(options)).Message;

    public void Dispose() => _folder.Dispose();
}
