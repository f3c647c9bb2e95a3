using System.Globalization;
using System.Text.Json.Nodes;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Bench.Gpu;

/// <summary>Loads every kernel and tables what the driver says of it. A kernel that needs local memory has lost registers, which is a failure.</summary>
internal static class GpuLoads
{
    /// <returns>Whether every kernel loads, without local memory.</returns>
    public static bool Run(GpuFindings findings)
    {
        using var context = new CudaContext(0);
        Console.WriteLine("\n## Loading kernels\n\nms: from the source to the first kernel on the GPU, once a source. Registers, local and static shared bytes as the driver reports them.\n");
        Console.WriteLine("| kernel | ms | registers | local | shared | largest block |\n|---|---:|---:|---:|---:|---:|");
        double total = 0;
        int count = 0;
        var local = new List<string>();
        foreach (LoadedKernels source in KernelInventory.Load(context))
        {
            total += source.Milliseconds;
            for (int i = 0; i < source.Kernels.Count; i++)
            {
                CudaKernel kernel = source.Kernels[i];
                double? milliseconds = i == 0 ? source.Milliseconds : null;
                count++;
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {kernel.Name} | {milliseconds:F1} | {kernel.Registers} | {kernel.LocalBytes} | {kernel.StaticSharedBytes} | {kernel.MaxThreads} |"));
                findings.Add("kernels", new JsonObject
                {
                    ["name"] = kernel.Name,
                    ["source"] = source.Source,
                    ["load_ms"] = milliseconds,
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
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"\n{count} kernels in {total:F0} ms; with local memory: {(local.Count == 0 ? "none" : string.Join(", ", local))}."));
        findings.Set("load_ms_total", total);
        return local.Count == 0;
    }
}
