using System.Text.Json;
using CudaTrainer.Formats;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>
/// Options from a JSON object: keys are option names without dashes (<c>batch-size</c>, <c>batch_size</c> and <c>BatchSize</c> are the
/// same), values are numbers, strings, true, false or lists of numbers; null leaves the default.
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
            problems.Add($"--config: {path} is a folder; expected a JSON file");
            return [];
        }

        try
        {
            using var document = JsonDocument.Parse(TextFile.Decode(path, File.ReadAllBytes(path)), JsonOptions);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                problems.Add($"--config: {path} holds a JSON {document.RootElement.ValueKind.ToString().ToLowerInvariant()}; expected an object of options");
                return [];
            }

            return Read(path, document.RootElement, options, problems);
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

    private static List<GivenOption> Read(string path, JsonElement json, IReadOnlyList<OptionDefinition> options, List<string> problems)
    {
        var byKey = options.ToDictionary(option => Suggestion.Key(option.Name));
        List<GivenOption> given = [];
        HashSet<string> seen = [];
        foreach (JsonProperty property in json.EnumerateObject())
        {
            if (!byKey.TryGetValue(Suggestion.Key(property.Name), out OptionDefinition? option))
            {
                string suggestion = Suggestion.DidYouMean(property.Name, options.Select(candidate => candidate.Name[2..]));
                problems.Add($"--config: {path} has the unknown option \"{property.Name}\"{suggestion}");
            }
            else if (!seen.Add(option.Name))
            {
                problems.Add($"--config: {path} gives \"{property.Name}\" twice");
            }
            else if (property.Value.ValueKind != JsonValueKind.Null)
            {
                given.Add(new(option.Name, Text(property.Value), path));
            }
        }

        return given;
    }

    private static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Array => string.Join(',', value.EnumerateArray().Select(Text)),
        _ => value.GetRawText(),
    };
}
