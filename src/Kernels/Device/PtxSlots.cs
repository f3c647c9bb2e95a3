using System.Text.RegularExpressions;

namespace CudaTrainer.Kernels.Device;

/// <summary>
/// ILGPU keeps what an instruction of ours writes in a slot of local memory, from which the next line reads it. Here such slots become
/// registers: the driver's compiler would do it anyway, and people and the simulator read a third of the lines.
/// </summary>
internal static partial class PtxSlots
{
    /// <summary>A slot that is only read and written as one value.</summary>
    private sealed class Slot
    {
        public string? Type { get; set; }

        public bool IsPlain { get; set; } = true;
    }

    public static string[] ToRegisters(string[] lines)
    {
        var slots = new Dictionary<string, Slot>();
        string?[] slotOfLine = new string?[lines.Length];
        var pointers = new Dictionary<string, string>();
        for (int i = 0; i < lines.Length; i++)
        {
            if (Declaration().Match(lines[i]) is { Success: true } declaration)
            {
                slots.Add(declaration.Groups["slot"].Value, new Slot());
                slotOfLine[i] = declaration.Groups["slot"].Value;
            }
            else if (Address().Match(lines[i]) is { Success: true } address)
            {
                pointers[address.Groups["pointer"].Value] = slotOfLine[i] = address.Groups["slot"].Value;
            }
            else if (Access().Match(lines[i]) is { Success: true } access &&
                pointers.TryGetValue(access.Groups["pointer"].Value, out string? accessed))
            {
                Slot slot = slots[accessed];
                slot.IsPlain &= (slot.Type ??= access.Groups["type"].Value) == access.Groups["type"].Value;
                slotOfLine[i] = accessed;

                // What is stored may be a slot's address, which then is where nobody can follow it; what is loaded takes an address's
                // place.
                if (pointers.TryGetValue(access.Groups["value"].Value, out string? other))
                {
                    slots[other].IsPlain &= access.Groups["verb"].Value == "ld";
                    pointers.Remove(access.Groups["value"].Value);
                }
            }
            else
            {
                foreach (Match register in Register().Matches(lines[i]))
                {
                    if (pointers.TryGetValue(register.Value, out string? touched))
                    {
                        // Written anew the register is somebody else's from here on; read, the slot's address goes where nobody can follow
                        // it.
                        bool isWritten = Written().Match(lines[i]) is { Success: true } written &&
                            written.Groups["register"].Value == register.Value &&
                            Register().Matches(lines[i][written.Length..]).All(read => read.Value != register.Value);
                        slots[touched].IsPlain &= isWritten;
                        pointers.Remove(register.Value);
                    }
                }
            }
        }

        return [.. lines.Select((line, i) =>
            slotOfLine[i] is { } slot && slots[slot] is { IsPlain: true } plain ? Rewrite(line, slot, plain) : line).OfType<string>()];
    }

    /// <returns>The line that takes its place, or null where none is needed.</returns>
    private static string? Rewrite(string line, string slot, Slot found)
    {
        string register = "%slot" + slot["__local_depot".Length..];
        if (found.Type is null || Address().IsMatch(line))
        {
            return null;
        }

        if (Declaration().IsMatch(line))
        {
            return $"\t.reg .{found.Type} {register};";
        }

        Match access = Access().Match(line);
        return access.Groups["verb"].Value == "ld"
            ? $"\tmov.{found.Type}\t{access.Groups["value"].Value}, {register};"
            : $"\tmov.{found.Type}\t{register}, {access.Groups["value"].Value};";
    }

    [GeneratedRegex(@"^\t\.local \.align \d+ \.b8 (?<slot>__local_depot\d+)\[\d+\];$")]
    private static partial Regex Declaration();

    [GeneratedRegex(@"^\tmov\.b64\t(?<pointer>%rd\d+), (?<slot>__local_depot\d+);$")]
    private static partial Regex Address();

    [GeneratedRegex(
        @"^\t(?<verb>ld)\.local\.(?<type>[fbus]\d+)\t(?<value>%\w+), \[(?<pointer>%rd\d+)\];$|" +
        @"^\t(?<verb>st)\.local\.(?<type>[fbus]\d+)\t\[(?<pointer>%rd\d+)\], (?<value>[%\w]+);$")]
    private static partial Regex Access();

    [GeneratedRegex(@"%rd\d+")]
    private static partial Regex Register();

    /// <summary>The register that an instruction writes, which comes first, unless it is an address.</summary>
    [GeneratedRegex(@"^\t(@!?%p\d+ )?[a-z][\w.:]*\s+(?<register>%rd\d+),")]
    private static partial Regex Written();
}
