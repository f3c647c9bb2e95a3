using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>
/// The entries of a YAML mapping of options to values, or to lists of values. Events of the parser rather than its nodes: a file nests as
/// deep as it likes without filling the stack, and aliases cannot multiply.
/// </summary>
internal static class YamlConfig
{
    private static readonly string[] Nulls = ["", "~", "null", "Null", "NULL"];

    /// <returns>Keys with the texts of their values, of a list each; none for null.</returns>
    /// <exception cref="FormatException">The text is no such mapping; says where.</exception>
    public static List<(string Key, IReadOnlyList<string> Texts)> Entries(string text)
    {
        using StringReader reader = new(text);
        Parser parser = new(reader);
        try
        {
            parser.Consume<StreamStart>();
            List<(string Key, IReadOnlyList<string> Texts)> entries = [];
            if (parser.TryConsume<DocumentStart>(out _))
            {
                if (!parser.TryConsume<MappingStart>(out _))
                {
                    throw Unexpected(parser.Current!, "a mapping of options to values");
                }

                while (!parser.TryConsume<MappingEnd>(out _))
                {
                    entries.Add((Take<Scalar>(parser, "the name of an option").Value, Values(parser)));
                }

                parser.Consume<DocumentEnd>();
            }

            return parser.TryConsume<StreamEnd>(out _) ? entries : throw Unexpected(parser.Current!, "one document");
        }
        catch (YamlException exception)
        {
            throw new FormatException($"{exception.InnerException?.Message ?? exception.Message} (line {exception.Start.Line})", exception);
        }
    }

    private static IReadOnlyList<string> Values(Parser parser)
    {
        if (parser.TryConsume<Scalar>(out Scalar? scalar))
        {
            return scalar.IsPlainImplicit && Nulls.Contains(scalar.Value) ? [] : [scalar.Value];
        }

        Take<SequenceStart>(parser, "a value, or a list of values");
        List<string> items = [];
        while (!parser.TryConsume<SequenceEnd>(out _))
        {
            items.Add(Take<Scalar>(parser, "a value").Value);
        }

        return items.Count == 0 ? [""] : items;
    }

    private static TEvent Take<TEvent>(Parser parser, string expected)
        where TEvent : ParsingEvent
        => parser.TryConsume<TEvent>(out TEvent? found) ? found : throw Unexpected(parser.Current!, expected);

    private static FormatException Unexpected(ParsingEvent found, string expected)
    {
        string what = found switch
        {
            AnchorAlias => "an alias",
            MappingStart => "a mapping",
            SequenceStart => "a list",
            Scalar => "a single value",
            DocumentStart => "another document",
            _ => "its end",
        };
        return new FormatException($"{what} in line {found.Start.Line}; expected {expected}");
    }
}
