using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Bench.Gpu;

/// <summary>
/// Assembles every kernel's PTX by NVIDIA's ptxas for every architecture that we name, no GPU needed, and tables what the machine code asks
/// of one. Registers that do not suffice (spills), local memory, 16-byte accesses that a kernel had and has no more, a kernel without
/// launch bounds and one that cannot run for want of registers or shared memory are failures.
/// </summary>
internal static partial class KernelResources
{
    /// <summary>Hidden units of the models we ship: what the recurrent kernels' dynamic shared memory is counted for.</summary>
    private const int Hidden = 128;

    /// <summary>Whose instructions and 16-byte accesses the table shows.</summary>
    private const int Common = 80;

    private const string WideColumn = "16-byte accesses";

    /// <param name="tools">Folder of <c>ptxas</c> and <c>nvdisasm</c>.</param>
    /// <param name="output">Where the table goes, and where the last one is: what it says of 16-byte accesses must still hold. Stays as it
    /// is when something has failed.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string tools, string output)
    {
        var kernels = new SortedDictionary<string, Dictionary<int, Resources>>(StringComparer.Ordinal);
        foreach (Multiprocessor target in Multiprocessor.All)
        {
            Console.Error.WriteLine($"sm_{target.Architecture}");
            foreach (KernelPtx ptx in KernelInventory.Ptx(target.Architecture))
            {
                if (!kernels.TryGetValue(ptx.Name, out Dictionary<int, Resources>? columns))
                {
                    kernels.Add(ptx.Name, columns = []);
                }

                columns.Add(target.Architecture, Inspect(ptx, target.Architecture, tools));
            }
        }

        Dictionary<string, int> recorded = RecordedWideAccesses(output);
        string[] faults =
        [
            .. kernels.SelectMany(kernel => kernel.Value.SelectMany(column => Faults(kernel.Key, column.Key, column.Value))),
            .. kernels.Where(kernel => kernel.Value[Common].WideAccesses == 0 && recorded.GetValueOrDefault(kernel.Key) > 0)
                .Select(kernel => $"{kernel.Key} had {recorded[kernel.Key]} 16-byte accesses ({output}) and has none"),
        ];
        foreach (string fault in faults)
        {
            Console.Error.WriteLine($"error: {fault}");
        }

        if (kernels.Count > 0 && faults.Length == 0)
        {
            Write(kernels, Version(tools), output);
        }

        Console.Error.WriteLine($"{kernels.Count} kernels, {Multiprocessor.All.Count} architectures, {faults.Length} faults");
        return kernels.Count > 0 && faults.Length == 0 ? 0 : 1;
    }

    private static IEnumerable<string> Faults(string name, int architecture, Resources kernel)
    {
        string where = $"{name} for sm_{architecture}";
        if (kernel.SpillBytes > 0)
        {
            yield return $"{where} spills {kernel.SpillBytes} bytes";
        }

        if (kernel.StackBytes > 0 || kernel.LocalAccesses > 0)
        {
            yield return $"{where} has {kernel.StackBytes} bytes of local memory and {kernel.LocalAccesses} accesses to it";
        }

        if (kernel.WidePtx > 0 && kernel.WideAccesses == 0)
        {
            yield return $"{where} has {kernel.WidePtx} 16-byte accesses in PTX and none in machine code";
        }

        if (kernel.Threads == 0)
        {
            yield return $"{where} has no launch bounds";
        }
        else if (BlocksAtATime(name, architecture, kernel) == 0)
        {
            yield return $"{where} does not fit a multiprocessor: {kernel.Threads} threads, {kernel.Registers} registers, {kernel.SharedBytes} bytes of shared memory";
        }
    }

    private static int BlocksAtATime(string name, int architecture, Resources kernel) =>
        Target(architecture).BlocksAtATime(kernel.Threads, kernel.Registers, kernel.SharedBytes + DynamicShared(name));

    private static Multiprocessor Target(int architecture) => Multiprocessor.All.First(target => target.Architecture == architecture);

    /// <summary>What the launchers ask for; the kernels that keep weights in registers need none.</summary>
    private static int DynamicShared(string name)
    {
        if (name.Contains("InRegisters", StringComparison.Ordinal) || name.Contains("PreviousStates", StringComparison.Ordinal))
        {
            return 0;
        }

        int gates = name.StartsWith("Lstm_", StringComparison.Ordinal) ? 4 : name.StartsWith("Gru_", StringComparison.Ordinal) ? 3 : 0;
        return gates == 0 ? 0
            : name.Contains("_Backward_", StringComparison.Ordinal) ? GpuWalk.BackwardShared(Hidden, gates)
            : GpuWalk.ForwardShared(Hidden, gates);
    }

    private static Resources Inspect(KernelPtx ptx, int architecture, string tools)
    {
        string source = Path.GetTempFileName(), machineCode = Path.GetTempFileName();
        try
        {
            File.WriteAllText(source, ptx.Text);
            string log = Output(Path.Combine(tools, "ptxas"), "-v", $"-arch=sm_{architecture}", "-o", machineCode, source);
            Match usage = Usage().Match(log), bounds = LaunchBounds().Match(ptx.Text);
            if (!usage.Success || usage.Groups["name"].Value != ptx.Name)
            {
                throw new InvalidDataException($"the assembler does not tell of {ptx.Name}:\n{log}");
            }

            Listing listing = Disassemble(Output(Path.Combine(tools, "nvdisasm"), "-c", machineCode))[ptx.Name];
            return new Resources(
                bounds.Success ? Number(bounds, "x") * Number(bounds, "y") * Number(bounds, "z") : 0, Number(usage, "registers"),
                Number(usage, "stack"), Number(usage, "stores") + Number(usage, "loads"), Number(usage, "shared"), listing.Instructions,
                listing.Local, WidePtx().Count(ptx.Text), listing.Wide);
        }
        finally
        {
            File.Delete(source);
            File.Delete(machineCode);
        }
    }

    /// <summary>What the last table says of 16-byte accesses, by kernel; nothing where there is no table or it has no such
    /// column.</summary>
    private static Dictionary<string, int> RecordedWideAccesses(string table)
    {
        if (!File.Exists(table))
        {
            return [];
        }

        string[][] rows = [.. File.ReadLines(table).Where(line => line.StartsWith('|'))
            .Select(line => line.Trim('|', ' ').Split('|', StringSplitOptions.TrimEntries))];
        int column = rows.Length == 0 ? -1 : Array.IndexOf(rows[0], WideColumn);
        return column < 0
            ? []
            : rows.Skip(2).TakeWhile(row => row.Length == rows[0].Length)
            .ToDictionary(row => row[0].Trim('`'), row => int.Parse(row[column], CultureInfo.InvariantCulture));
    }

    private static string Version(string tools) =>
        Release().Match(Output(Path.Combine(tools, "ptxas"), "--version")).Groups["version"].Value;

    /// <summary>What a tool says, on either stream.</summary>
    private static string Output(string tool, params string[] arguments)
    {
        using Process process = Process.Start(
            new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string text = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        return process.ExitCode == 0
            ? text
            : throw new InvalidDataException($"{tool} {string.Join(' ', arguments)} ended with {process.ExitCode}:\n{text}");
    }

    private static int Number(Match match, string group) => match.Groups[group].Success ? int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture) : group is "y" or "z" ? 1 : 0;

    private static Dictionary<string, Listing> Disassemble(string text)
    {
        var listings = new Dictionary<string, Listing>();
        string kernel = string.Empty;
        foreach (string line in text.Split('\n'))
        {
            if (line.StartsWith(".text.", StringComparison.Ordinal))
            {
                kernel = line[".text.".Length..].TrimEnd().TrimEnd(':');
                listings[kernel] = default;
            }
            else if (Instruction().Match(line) is { Success: true } match)
            {
                string name = match.Groups["name"].Value;
                Listing known = listings[kernel];
                listings[kernel] = new Listing(
                    known.Instructions + 1,
                    known.Local + (name is "LDL" or "STL" ? 1 : 0),
                    known.Wide + (name is "LDG" or "STG" or "LD" or "ST" && match.Groups["modifiers"].Value.Contains(".128",
                        StringComparison.Ordinal) ? 1 : 0));
            }
        }

        return listings;
    }

    private static void Write(SortedDictionary<string, Dictionary<int, Resources>> kernels, string version, string output)
    {
        var report = new Report();
        report.Line("# What the CUDA kernels ask of a GPU\n");
        report.Paragraph(
            $"Assembled by NVIDIA's ptxas ({version}) and read from the machine code by `make ptxas test-all` (`bench ptxas`). " +
                $"Registers of a thread, and theoretical occupancy: the share of a "
            + "multiprocessor's threads that blocks of the launch bounds' size can fill, by registers, shared memory and block slots. It says nothing about how many blocks a launch has.");
        report.Paragraph(
            $"Shared memory: static + dynamic bytes of a block, the latter for {Hidden} hidden units. Instructions, and of them 16-byte accesses to global memory: machine code for sm_{Common}. A kernel that has them here and loses them all fails the check. Spills and local memory: **{kernels.Values.SelectMany(columns => columns.Values).Sum(kernel => kernel.SpillBytes + kernel.StackBytes)} bytes** in all "
            + $"{kernels.Count} kernels for all {Multiprocessor.All.Count} architectures; any would fail the check.");
        report.Table(
            ["kernel", "threads", "shared", "instructions", WideColumn,
                .. Multiprocessor.All.Select(target => $"sm_{target.Architecture}")],
            kernels.Select(kernel =>
            {
                Resources common = kernel.Value[Common];
                int dynamicShared = DynamicShared(kernel.Key);
                return (IReadOnlyList<string>)
                [
                    $"`{kernel.Key}`", Text(common.Threads),
                    dynamicShared == 0 ? Text(common.SharedBytes) : $"{common.SharedBytes} + {dynamicShared}", Text(common.Instructions),
                    Text(common.WideAccesses),
                    .. Multiprocessor.All.Select(target => Column(kernel.Key, target, kernel.Value[target.Architecture])),
                ];
            }));
        report.Save(output);

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        static string Column(string name, Multiprocessor target, Resources kernel) =>
            $"{kernel.Registers} · {(100 * target.Occupancy(kernel.Threads, kernel.Registers, kernel.SharedBytes + DynamicShared(name))).ToString("F0", CultureInfo.InvariantCulture)} %";
    }

    [GeneratedRegex(@"\.entry\s+(?<name>[\w$]+)\s*\([^)]*\)\s*\.maxntid (?<x>\d+)(, (?<y>\d+))?(, (?<z>\d+))?")]
    private static partial Regex LaunchBounds();

    [GeneratedRegex(@"\b(ld|st)\.global(\.\w+)*(\.v4\.[busf]32|\.v2\.[busf]64)\b")]
    private static partial Regex WidePtx();

    [GeneratedRegex(
        @"Compiling entry function '(?<name>[\w$]+)'.*?\n.*\n\D*(?<stack>\d+) bytes stack frame, (?<stores>\d+) bytes spill stores, (?<loads>\d+) bytes spill loads\n.*Used (?<registers>\d+) registers(.*?(?<shared>\d+) bytes smem)?")]
    private static partial Regex Usage();

    [GeneratedRegex(@"^\s*/\*[0-9a-f]{4,}\*/\s+(@!?U?P\w+\s+)?(?<name>[A-Z][A-Z0-9]*)(?<modifiers>[.A-Z0-9_]*)")]
    private static partial Regex Instruction();

    [GeneratedRegex(@"release (?<version>[\d.]+)")]
    private static partial Regex Release();

    /// <param name="Threads">Launch bounds; 0: none.</param>
    /// <param name="Registers">Of a thread.</param>
    /// <param name="StackBytes">Local memory of a thread.</param>
    /// <param name="SpillBytes">Stored and loaded for want of registers.</param>
    /// <param name="SharedBytes">Static, of a block.</param>
    /// <param name="Instructions">Of machine code.</param>
    /// <param name="LocalAccesses">Of them, those to local memory.</param>
    /// <param name="WidePtx">Accesses of 16 bytes to global memory in PTX.</param>
    /// <param name="WideAccesses">The same in machine code.</param>
    private sealed record Resources(
        int Threads, int Registers, int StackBytes, int SpillBytes, int SharedBytes, int Instructions, int LocalAccesses, int WidePtx,
            int WideAccesses);

    /// <param name="Instructions">All of a kernel.</param>
    /// <param name="Local">To local memory.</param>
    /// <param name="Wide">16 bytes from or to global memory.</param>
    private readonly record struct Listing(int Instructions, int Local, int Wide);
}
