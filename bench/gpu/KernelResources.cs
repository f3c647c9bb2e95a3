using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Kernels.Cuda;
using CudaTrainer.Kernels.Interop;
using Cuda = CudaTrainer.Kernels.Interop.Cuda;

namespace CudaTrainer.Bench.Gpu;

/// <summary>
/// Compiles every CUDA source with NVIDIA's NVRTC for every architecture that we name, no GPU needed, and tables what the machine code asks of one. Registers that do not suffice (spills), local memory, a kernel
/// without launch bounds and one that cannot run for want of registers or shared memory are failures.
/// </summary>
internal static partial class KernelResources
{
    /// <summary>Hidden units of the models we ship: what the recurrent kernels' dynamic shared memory is counted for.</summary>
    private const int Hidden = 128;

    /// <param name="nvdisasm">The disassembler of the same release as NVRTC.</param>
    /// <param name="output">Where the table goes.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string nvdisasm, string output)
    {
        CudaLibrary nvrtc = Cuda.Libraries[1];
        if (!nvrtc.Found || nvrtc.IsSimulated)
        {
            Console.Error.WriteLine($"error: NVIDIA's NVRTC is needed: {(nvrtc.Found ? "this is the simulator's" : nvrtc.Reason)}");
            return 1;
        }

        var kernels = new SortedDictionary<(string File, string Name), Dictionary<int, Resources>>();
        foreach (string file in KernelLibrary.Files)
        {
            Console.Error.WriteLine(file);
            foreach (Multiprocessor target in Multiprocessor.All)
            {
                foreach (var (name, resources) in Inspect(file, target.Architecture, nvdisasm))
                {
                    if (!kernels.TryGetValue((file, name), out Dictionary<int, Resources>? columns))
                    {
                        kernels.Add((file, name), columns = []);
                    }

                    columns.Add(target.Architecture, resources);
                }
            }
        }

        Write(kernels, Path.GetFileName(nvrtc.Path), output);
        string[] faults = [.. kernels.SelectMany(kernel => kernel.Value.SelectMany(column => Faults(kernel.Key.Name, column.Key, column.Value)))];
        foreach (string fault in faults)
        {
            Console.Error.WriteLine($"error: {fault}");
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
        if (name.Contains("_registers_", StringComparison.Ordinal) || !(name.StartsWith("lstm_", StringComparison.Ordinal) || name.StartsWith("gru_", StringComparison.Ordinal)))
        {
            return 0;
        }

        int gates = name.StartsWith("lstm_", StringComparison.Ordinal) ? 4 : 3;
        return name.Contains("_backward_", StringComparison.Ordinal) ? Recurrent.BackwardShared(Hidden, gates) : Recurrent.ForwardShared(Hidden, gates);
    }

    private static Dictionary<string, Resources> Inspect(string file, int architecture, string nvdisasm)
    {
        CompiledSource compiled = KernelCompiler.CompileFor(architecture, file, KernelLibrary.Source(file), KernelLibrary.Headers, "--ptxas-options=-v");
        Dictionary<string, int> threads = LaunchBounds().Matches(compiled.Ptx).ToDictionary(match => match.Groups["name"].Value, match => Number(match, "x") * Number(match, "y") * Number(match, "z"));
        var (instructions, localAccesses) = Disassemble(nvdisasm, compiled.MachineCode);
        var kernels = new Dictionary<string, Resources>();
        foreach (Match match in Usage().Matches(compiled.Log))
        {
            string name = match.Groups["name"].Value;
            kernels.Add(name, new Resources(
                threads.GetValueOrDefault(name), Number(match, "registers"), Number(match, "stack"), Number(match, "stores") + Number(match, "loads"), Number(match, "shared"), instructions[name],
                localAccesses[name]));
        }

        int entries = Entry().Count(compiled.Ptx);
        return kernels.Count == entries
            ? kernels
            : throw new InvalidDataException($"{file} has {entries} kernels, but the assembler tells of {kernels.Count}:\n{compiled.Log}");
    }

    private static int Number(Match match, string group) => match.Groups[group].Success ? int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture) : group is "y" or "z" ? 1 : 0;

    /// <summary>Instructions of each kernel, and how many of them go to local memory.</summary>
    private static (Dictionary<string, int> Instructions, Dictionary<string, int> LocalAccesses) Disassemble(string nvdisasm, byte[] machineCode)
    {
        string file = Path.GetTempFileName(), text;
        try
        {
            File.WriteAllBytes(file, machineCode);
            using var process = Process.Start(new ProcessStartInfo(nvdisasm, ["-c", file]) { RedirectStandardOutput = true })!;
            text = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
            {
                throw new InvalidDataException($"{nvdisasm} ended with {process.ExitCode}");
            }
        }
        finally
        {
            File.Delete(file);
        }

        var instructions = new Dictionary<string, int>();
        var localAccesses = new Dictionary<string, int>();
        string kernel = string.Empty;
        foreach (string line in text.Split('\n'))
        {
            if (line.StartsWith(".text.", StringComparison.Ordinal))
            {
                kernel = line[".text.".Length..].TrimEnd().TrimEnd(':');
                instructions[kernel] = localAccesses[kernel] = 0;
            }
            else if (Instruction().Match(line) is { Success: true } match)
            {
                instructions[kernel]++;
                localAccesses[kernel] += match.Groups["name"].Value is "LDL" or "STL" ? 1 : 0;
            }
        }

        return (instructions, localAccesses);
    }

    private static void Write(SortedDictionary<(string File, string Name), Dictionary<int, Resources>> kernels, string nvrtc, string output)
    {
        var report = new Report();
        report.Line("# What the CUDA kernels ask of a GPU\n");
        report.Paragraph(
            $"Compiled by NVIDIA's NVRTC ({nvrtc}) and read from the machine code by `make nvrtc test-all` (`bench cuda-kernels`); no GPU has run it. Registers of a thread, and theoretical occupancy: the share of a "
            + "multiprocessor's threads that blocks of the launch bounds' size can fill, by registers, shared memory and block slots. It says nothing about how many blocks a launch has.");
        report.Paragraph(
            $"Shared memory: static + dynamic bytes of a block, the latter for {Hidden} hidden units. Instructions: machine code for sm_80. Spills and local memory: **{kernels.Values.SelectMany(columns => columns.Values).Sum(kernel => kernel.SpillBytes + kernel.StackBytes)} bytes** in all "
            + $"{kernels.Count} kernels for all {Multiprocessor.All.Count} architectures; any would fail the check.");
        report.Table(
            ["kernel", "threads", "shared", "instructions", .. Multiprocessor.All.Select(target => $"sm_{target.Architecture}")],
            kernels.Select(kernel =>
            {
                Resources common = kernel.Value[80];
                int dynamicShared = DynamicShared(kernel.Key.Name);
                return (IReadOnlyList<string>)
                [
                    $"`{kernel.Key.Name}`", Text(common.Threads), dynamicShared == 0 ? Text(common.SharedBytes) : $"{common.SharedBytes} + {dynamicShared}", Text(common.Instructions),
                    .. Multiprocessor.All.Select(target => Column(kernel.Key.Name, target, kernel.Value[target.Architecture])),
                ];
            }));
        report.Save(output);

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        static string Column(string name, Multiprocessor target, Resources kernel) =>
            $"{kernel.Registers} · {(100 * target.Occupancy(kernel.Threads, kernel.Registers, kernel.SharedBytes + DynamicShared(name))).ToString("F0", CultureInfo.InvariantCulture)} %";
    }

    [GeneratedRegex(@"^\.visible \.entry \w+\(", RegexOptions.Multiline)]
    private static partial Regex Entry();

    [GeneratedRegex(@"\.entry (?<name>\w+)\([^)]*\)\s*\.maxntid (?<x>\d+)(, (?<y>\d+))?(, (?<z>\d+))?")]
    private static partial Regex LaunchBounds();

    [GeneratedRegex(
        @"Compiling entry function '(?<name>\w+)'.*?\n.*\n\D*(?<stack>\d+) bytes stack frame, (?<stores>\d+) bytes spill stores, (?<loads>\d+) bytes spill loads\n.*Used (?<registers>\d+) registers(.*?(?<shared>\d+) bytes smem)?")]
    private static partial Regex Usage();

    [GeneratedRegex(@"^\s*/\*[0-9a-f]{4,}\*/\s+(@!?U?P\w+\s+)?(?<name>[A-Z][A-Z0-9]*)")]
    private static partial Regex Instruction();

    /// <param name="Threads">Launch bounds; 0: none.</param>
    /// <param name="Registers">Of a thread.</param>
    /// <param name="StackBytes">Local memory of a thread.</param>
    /// <param name="SpillBytes">Stored and loaded for want of registers.</param>
    /// <param name="SharedBytes">Static, of a block.</param>
    /// <param name="Instructions">Of machine code.</param>
    /// <param name="LocalAccesses">Of them, those to local memory.</param>
    private sealed record Resources(int Threads, int Registers, int StackBytes, int SpillBytes, int SharedBytes, int Instructions, int LocalAccesses);
}
