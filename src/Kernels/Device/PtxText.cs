using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace CudaTrainer.Kernels.Device;

/// <summary>
/// What happens to ILGPU's PTX before a driver gets it: names that do not change from run to run, accesses to four neighbouring words made
/// one, and notes for the simulator in front.
/// </summary>
internal static partial class PtxText
{
    /// <summary>Grows when the text that comes out changes.</summary>
    public const string Version = "text 1";

    private const int WordBytes = 4;

    /// <param name="kernel">What was compiled.</param>
    /// <param name="text">ILGPU's PTX of it.</param>
    public static string Finish(KernelSource kernel, string text)
    {
        Match entry = Entry().Match(text);
        if (!entry.Success)
        {
            throw new InvalidDataException($"the compiler's text of {kernel.Name} has no entry with one structure of arguments:\n{text}");
        }

        if (int.Parse(entry.Groups["bytes"].Value, CultureInfo.InvariantCulture) != kernel.Layout.Bytes)
        {
            throw new KernelRefusedException(
                kernel.Method, $"its argument structure {kernel.Arguments.Name}, which has {kernel.Layout.Bytes} bytes here and {entry.Groups["bytes"].Value} on the GPU",
                "Fields must lie in the order of their declaration, without packing.");
        }

        text = text.Replace(entry.Groups["name"].Value, kernel.Name, StringComparison.Ordinal);
        text = Regex.Replace(text, $@"\b{Regex.Escape(entry.Groups["parameter"].Value)}\b", "arguments");
        text = NumberLabels(text);
        var result = new StringBuilder();
        result.Append(CultureInfo.InvariantCulture,
            $"// {kernel.Name}: {kernel.Method.DeclaringType!.FullName}.{kernel.Method.Name}, {kernel.Threads} threads a block\n");
        foreach ((int offset, int bytes) in kernel.Layout.Arrays)
        {
            result.Append(CultureInfo.InvariantCulture, $"//@view 0 {offset} {bytes}\n");
        }

        text = WithoutSpace().Replace(text.ReplaceLineEndings("\n"), "$0global.");
        string[] lines = PtxSlots.ToRegisters(text.TrimEnd('\n').Split('\n'));
        if (lines.FirstOrDefault(line => line.Contains("cvta.local", StringComparison.Ordinal) ||
            line.Contains("cvta.shared", StringComparison.Ordinal)) is { } taken)
        {
            throw new KernelRefusedException(
                kernel.Method, $"the address of a local or of shared memory («{taken.Trim()}»)",
                "Reach shared memory through the view that SharedMemory.Allocate returns, and pass locals by value.");
        }

        AppendJoined(result, lines);
        return result.ToString();
    }

    private static string NumberLabels(string text)
    {
        var numbers = new Dictionary<string, int>();
        return Label().Replace(text, match =>
        {
            if (!numbers.TryGetValue(match.Value, out int number))
            {
                numbers.Add(match.Value, number = numbers.Count);
            }

            return $"L{number}";
        });
    }

    /// <summary>
    /// ILGPU reads and writes a structure behind a pointer field by field, at constant distances from one register. Four words in a row are
    /// a <see cref="Four"/> or <see cref="Words"/>, which kernels touch only where the address is a multiple of 16.
    /// </summary>
    private static void AppendJoined(StringBuilder result, string[] lines)
    {
        for (int i = 0; i < lines.Length; i++)
        {
            if (i + 3 < lines.Length && Access().Match(lines[i]) is { Success: true } first && Follows(lines, i, first) is { } registers)
            {
                string vector = $"{{{string.Join(", ", registers)}}}";
                string address = $"[{first.Groups["base"].Value}{first.Groups["offset"].Value}]";
                bool loads = first.Groups["verb"].Value == "ld";
                result.Append(CultureInfo.InvariantCulture,
                    $"\t{first.Groups["verb"].Value}.{first.Groups["space"].Value}.v4.{first.Groups["type"].Value}\t");
                result.Append(loads ? $"{vector}, {address};\n" : $"{address}, {vector};\n");
                i += 3;
            }
            else
            {
                result.Append(lines[i]).Append('\n');
            }
        }
    }

    private static string[]? Follows(string[] lines, int start, Match first)
    {
        string[] registers = new string[4];
        for (int k = 0; k < registers.Length; k++)
        {
            Match match = Access().Match(lines[start + k]);
            bool same = match.Success && match.Groups["verb"].Value == first.Groups["verb"].Value &&
                match.Groups["space"].Value == first.Groups["space"].Value &&
                match.Groups["type"].Value == first.Groups["type"].Value && match.Groups["base"].Value == first.Groups["base"].Value &&
                Offset(match) == Offset(first) + (k * WordBytes);

            // A load into the register that holds the address changes what the next one reads.
            if (!same || match.Groups["value"].Value == first.Groups["base"].Value)
            {
                return null;
            }

            registers[k] = match.Groups["value"].Value;
        }

        return registers;
    }

    private static int Offset(Match match) =>
        match.Groups["offset"].Value is { Length: > 0 } text
            ? int.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)
            : 0;

    [GeneratedRegex(@"\.visible \.entry (?<name>\w+)\(\s*\.param \.align \d+ \.b8 (?<parameter>\w+)\[(?<bytes>\d+)\]\s*\)")]
    private static partial Regex Entry();

    /// <summary>
    /// A pointer that was cast on its way loses its state space. Kernels reach shared memory through views alone, whose accesses keep
    /// theirs, so what has none is global.
    /// </summary>
    [GeneratedRegex(@"^\t(@!?%p\d+ )?(ld|st)\.(?=(v[24]\.)?[bfus]\d+\s)", RegexOptions.Multiline)]
    private static partial Regex WithoutSpace();

    [GeneratedRegex(@"\bL_\d+\b")]
    private static partial Regex Label();

    [GeneratedRegex(
        @"^\t(?<verb>ld)\.(?<space>global)\.(?<type>f32|b32)\t(?<value>%\w+), \[(?<base>%\w+)(?<offset>\+\d+)?\];$|" +
        @"^\t(?<verb>st)\.(?<space>global)\.(?<type>f32|b32)\t\[(?<base>%\w+)(?<offset>\+\d+)?\], (?<value>[%\w]+);$")]
    private static partial Regex Access();
}
