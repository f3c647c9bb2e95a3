namespace CudaTrainer.Bench;

/// <summary>Tables in a document of which a command writes a part, between two comments.</summary>
internal static class WrittenTables
{
    private const string End = "<!-- end -->";

    /// <param name="file">The document.</param>
    /// <param name="command">What writes it; stands in the first comment.</param>
    /// <param name="tables">What comes between the comments.</param>
    /// <returns>The exit code.</returns>
    public static int Replace(string file, string command, string tables)
    {
        string first = $"<!-- written by: {command} -->", text = File.ReadAllText(file);
        int begin = text.IndexOf(first, StringComparison.Ordinal), end = begin < 0
            ? -1
            : text.IndexOf(End, begin, StringComparison.Ordinal);
        if (end < 0)
        {
            Console.Error.WriteLine($"error: {file} has no place for the tables ({first} … {End})");
            return 1;
        }

        Console.Write(tables);
        File.WriteAllText(file, $"{text[..(begin + first.Length)]}\n{tables}{text[end..]}");
        return 0;
    }
}
