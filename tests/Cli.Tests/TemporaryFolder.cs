namespace CudaTrainer.Cli.Tests;

/// <summary>A folder of a test's own, removed with everything in it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("cudatrainer-cli-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public string Write(string name, string text)
    {
        System.IO.File.WriteAllText(File(name), text);
        return File(name);
    }

    /// <summary>Puts a copy of another folder's files here.</summary>
    public void CopyFrom(TemporaryFolder other)
    {
        foreach (string file in Directory.EnumerateFiles(other.Path, "*", SearchOption.AllDirectories))
        {
            string copy = File(System.IO.Path.GetRelativePath(other.Path, file));
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(copy)!);
            System.IO.File.Copy(file, copy);
        }
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
