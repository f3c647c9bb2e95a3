using System.Globalization;
using System.Text.Json.Nodes;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Bench.Gpu;

/// <summary>Loads every kernel and tables what the driver says of it. A kernel that needs local memory has lost registers, which is a
/// failure.</summary>
internal static class GpuLoads
{
    /// <returns>Whether every kernel loads, without local memory.</returns>
    public static bool Run(GpuFindings findings)
    {
        using var context = new CudaContext(0);
        Console.WriteLine(
            "\n## Loading kernels\n\nMilliseconds of ILGPU, from C# to PTX, and of the driver, from PTX to machine code. Registers, " +
                "local and static shared bytes as "
            + "the driver reports them.\n");
        Console.WriteLine("| kernel | C# to PTX | PTX to GPU | registers | local | shared | largest block |\n|---|---:|---:|---:|---:|---:|---:|");
        double compilation = 0, load = 0;
        int count = 0;
        var local = new List<string>();
        foreach (LoadedKernel loaded in KernelInventory.Load(context))
        {
            CudaKernel kernel = loaded.Kernel;
            compilation += loaded.Compilation;
            load += loaded.Load;
            count++;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {kernel.Name} | {loaded.Compilation:F1} | {loaded.Load:F1} | {kernel.Registers} | {kernel.LocalBytes} | " +
                    $"{kernel.StaticSharedBytes} | {kernel.MaxThreads} |"));
            findings.Add("kernels", new JsonObject
            {
                ["name"] = kernel.Name,
                ["compile_ms"] = loaded.Compilation,
                ["load_ms"] = loaded.Load,
                ["registers"] = kernel.Registers,
                ["local_bytes"] = kernel.LocalBytes,
                ["shared_bytes"] = kernel.StaticSharedBytes,
                ["max_threads"] = kernel.MaxThreads,
            });
            if (kernel.LocalBytes > 0)
            {
                local.Add(kernel.Name);
            }
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"\n{count} kernels: {compilation:F0} ms to PTX, {load:F0} ms to the GPU; with local memory: " +
                $"{(local.Count == 0 ? "none" : string.Join(", ", local))}."));
        findings.Set("compile_ms_total", compilation);
        findings.Set("load_ms_total", load);
        return local.Count == 0;
    }
}
