using System.Text.Json;
using CudaTrainer.Formats;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>
/// Options from a JSON object, or from a YAML mapping if the file's name ends so: keys are option names without dashes
/// (<c>batch-size</c>, <c>batch_size</c> and <c>BatchSize</c> are the same), values are numbers, strings, true, false or lists of numbers;
/// null leaves the default.
/// </summary>
internal static class ConfigFile
{
    private static readonly JsonDocumentOptions JsonOptions =
        new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <param name="problems">Receives a line for each thing wrong; nothing is thrown for a bad file.</param>
    public static IReadOnlyList<GivenOption> Read(string path, IReadOnlyList<OptionDefinition> options, List<string> problems)
    {
        if (Directory.Exists(path))
        {
            problems.Add($"--config: {path} is a folder; expected a JSON or YAML file");
            return [];
        }

        try
        {
            string text = TextFile.Decode(path, File.ReadAllBytes(path));
            if (Path.GetExtension(path).ToLowerInvariant() is ".yaml" or ".yml")
            {
                return Read(path, YamlConfig.Entries(text), options, problems);
            }

            using var document = JsonDocument.Parse(text, JsonOptions);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                problems.Add($"--config: {path} holds a JSON {document.RootElement.ValueKind.ToString().ToLowerInvariant()}; expected an object of options");
                return [];
            }

            return Read(
                path, document.RootElement.EnumerateObject().Select(property => (property.Name, Texts(property.Value))), options, problems);
        }
        catch (FormatException exception)
        {
            problems.Add($"--config: {path} is not a YAML file of options: {exception.Message}");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: text that is not valid UTF-8 or holds half a surrogate pair.
            problems.Add($"--config: {path} is not valid JSON: {exception.Message}");
        }
        catch (Exception exception)
            when (exception is IOException or UnauthorizedAccessException or ArgumentException or FileFormatException)
        {
            problems.Add($"--config: cannot read {path}: {exception.Message}");
        }

        return [];
    }

    /// <param name="entries">Names with the texts of their values, of a list each; none for null.</param>
    private static List<GivenOption> Read(string path, IEnumerable<(string Name, IReadOnlyList<string> Texts)> entries,
        IReadOnlyList<OptionDefinition> options, List<string> problems)
    {
        var byKey = options.ToDictionary(option => Suggestion.Key(option.Name));
        List<GivenOption> given = [];
        HashSet<string> seen = [];
        foreach ((string name, IReadOnlyList<string> texts) in entries)
        {
            if (!byKey.TryGetValue(Suggestion.Key(name), out OptionDefinition? option))
            {
                string suggestion = Suggestion.DidYouMean(name, options.Select(candidate => candidate.Name[2..]));
                problems.Add($"--config: {path} has the unknown option \"{name}\"{suggestion}");
            }
            else if (!seen.Add(option.Name))
            {
                problems.Add($"--config: {path} gives \"{name}\" twice");
            }
            else if (option.TakesSeveral)
            {
                given.AddRange(texts.Select(text => new GivenOption(option.Name, text, path)));
            }
            else if (texts.Count > 0)
            {
                given.Add(new(option.Name, string.Join(',', texts), path));
            }
        }

        return given;
    }

    private static IReadOnlyList<string> Texts(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => [],
        JsonValueKind.Array => value.GetArrayLength() == 0 ? [""] : [.. value.EnumerateArray().Select(Text)],
        _ => [Text(value)],
    };

    private static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => "",
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Array => string.Join(',', value.EnumerateArray().Select(Text)),
        _ => value.GetRawText(),
    };
}
