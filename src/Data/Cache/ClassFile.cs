using System.Text.Json;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>
/// <c>classes.json</c> in a folder of features that another program made: the names of the classes by label. Without it labels are of the
/// known pair.
/// </summary>
internal static class ClassFile
{
    public const string Name = "classes.json";

    private const string Hint = "It is a list of two or more different names, by label: [\"fight\", \"robbery\", \"walk\"].";

    /// <exception cref="FileFormatException">It is no list of classes.</exception>
    public static ClassList Read(string directory)
    {
        string path = Path.Combine(directory, Name);
        if (!File.Exists(path))
        {
            return ClassList.Violence;
        }

        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return Parse(document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            throw new FileFormatException(path, $"expected a list of classes: {exception.Message.TrimEnd('.')}", Hint);
        }
    }

    /// <exception cref="FormatException">It is no list of classes.</exception>
    /// <exception cref="InvalidOperationException">It is no list of texts.</exception>
    public static ClassList Parse(JsonElement list)
    {
        string[] names = [.. list.EnumerateArray().Select(name => name.GetString() ?? throw new FormatException("a name is null"))];
        return ClassList.Problem(names) is { } problem ? throw new FormatException(problem) : ClassList.Of(names);
    }
}
