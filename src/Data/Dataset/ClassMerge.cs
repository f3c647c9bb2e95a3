namespace CudaTrainer.Data.Dataset;

/// <summary>Classes that are put together from folders, such as <c>violent=fight,robbery;normal=walk</c>.</summary>
public sealed class ClassMerge
{
    private readonly Dictionary<string, string> _classOf;

    private ClassMerge(string text, Dictionary<string, string> classOf)
    {
        Text = text;
        _classOf = classOf;
    }

    /// <summary>As it was written.</summary>
    public string Text { get; }

    /// <summary>What it asks for, whether there is such a folder or not.</summary>
    public IReadOnlyCollection<string> Folders => _classOf.Keys;

    /// <summary>The classes, in the order in which they are written; the known pair where these are its names.</summary>
    internal ClassList Classes => ClassList.Named(_classOf.Values, sort: false)!;

    /// <summary>Parses <c>CLASS=FOLDER,FOLDER;CLASS=FOLDER</c>; a name alone is a class of the folder that is called so.</summary>
    /// <exception cref="FormatException">It is something else; the message says what.</exception>
    public static ClassMerge Parse(string text)
    {
        Dictionary<string, string> classOf = new(StringComparer.OrdinalIgnoreCase);
        foreach (string part in text.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            string[] sides = part.Split('=', StringSplitOptions.TrimEntries);
            string[] folders = sides[^1].Split(',', StringSplitOptions.TrimEntries);
            if (sides.Length > 2 || sides[0].Length == 0 || (sides.Length == 1 && folders.Length > 1) || folders.Contains(""))
            {
                throw Fault($"'{part}' is not CLASS=FOLDER,FOLDER");
            }

            foreach (string folder in folders)
            {
                if (!classOf.TryAdd(folder, sides[0]))
                {
                    throw Fault($"the folder '{folder}' is named twice");
                }
            }
        }

        return ClassList.Named(classOf.Values, sort: false) is null
            ? throw Fault("there have to be two classes or more")
            : new ClassMerge(text, classOf);

        FormatException Fault(string what) =>
            new($"'{text}' does not say which folders are which class: {what}. Expected, for example, violent=fight,robbery;normal=walk.");
    }

    /// <summary>The class that a folder, or a table's class, goes to; null where it is left out.</summary>
    internal string? ClassOf(string folder) => _classOf.GetValueOrDefault(folder);
}
