using System.Text;

namespace CudaTrainer.Fuzzer;

/// <summary>
/// Several files in one input: before each stands a line <c>=== NAME</c>. Whatever a mutation makes of these lines, the result is a
/// bundle again.
/// </summary>
internal static class Bundle
{
    private static ReadOnlySpan<byte> Mark => "\n=== "u8;

    public static byte[] Of(params IEnumerable<(string Name, byte[] Content)> files)
    {
        using var bundle = new MemoryStream();
        foreach ((string name, byte[] content) in files)
        {
            bundle.Write(Mark);
            bundle.Write(Encoding.Latin1.GetBytes(name + "\n"));
            bundle.Write(content);
        }

        return bundle.ToArray();
    }

    /// <summary>The files; one without an end of its name's line is none.</summary>
    public static List<(string Name, byte[] Content)> Files(ReadOnlySpan<byte> bundle)
    {
        List<(string, byte[])> files = [];
        while (bundle.IndexOf(Mark) is >= 0 and int start)
        {
            bundle = bundle[(start + Mark.Length)..];
            int end = bundle.IndexOf(Mark);
            ReadOnlySpan<byte> file = end < 0 ? bundle : bundle[..end];
            if (file.IndexOf((byte)'\n') is >= 0 and int line)
            {
                files.Add((Encoding.Latin1.GetString(file[..line]), file[(line + 1)..].ToArray()));
            }
        }

        return files;
    }

    /// <summary>The same with one kind of file changed.</summary>
    public static byte[] Change(byte[] bundle, Func<string, byte[], byte[]> change) =>
        Of(Files(bundle).Select(file => (file.Name, change(file.Name, file.Content))));

    /// <summary>Empties the folder and puts those files there that bear a known name, and no others.</summary>
    public static void Unpack(byte[] bundle, string folder, Func<string, bool> isKnown)
    {
        Clear(folder);
        foreach ((string name, byte[] content) in Files(bundle))
        {
            if (isKnown(name))
            {
                string path = Path.Combine(folder, name);
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                File.WriteAllBytes(path, content);
            }
        }
    }

    public static void Clear(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(folder))
        {
            File.Delete(file);
        }

        foreach (string inner in Directory.EnumerateDirectories(folder))
        {
            Directory.Delete(inner, recursive: true);
        }
    }
}
