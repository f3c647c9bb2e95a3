using System.Diagnostics;
using System.Text.RegularExpressions;
using CudaTrainer.Kernels.Cuda;
using CudaTrainer.Kernels.Interop;
using Cuda = CudaTrainer.Kernels.Interop.Cuda;

namespace CudaTrainer.Bench.Gpu;

/// <summary>Kernels of one source, on the GPU.</summary>
/// <param name="Source">What they are compiled from.</param>
/// <param name="Milliseconds">From the source to the first kernel on the GPU.</param>
/// <param name="Kernels">All of them.</param>
internal sealed record LoadedKernels(string Source, double Milliseconds, IReadOnlyList<CudaKernel> Kernels);

/// <summary>PTX of one source.</summary>
/// <param name="Source">What it was compiled from.</param>
/// <param name="Text">For the assembler.</param>
/// <param name="Name">Of its only kernel, where PTX calls it otherwise; null where PTX has the names.</param>
internal sealed record KernelPtx(string Source, string Text, string? Name);

/// <summary>Every kernel that we have: the only place in <c>bench</c> that knows where kernels come from.</summary>
internal static partial class KernelInventory
{
    /// <summary>Why <see cref="Ptx"/> cannot be had here; empty when it can.</summary>
    public static string PtxUnavailableReason =>
        !Cuda.Libraries[1].Found ? Cuda.Libraries[1].Reason : Cuda.Libraries[1].IsSimulated ? "the simulator's compiler makes no PTX" : string.Empty;

    /// <summary>Compiles and loads one source after another.</summary>
    public static IEnumerable<LoadedKernels> Load(CudaContext context)
    {
        using var library = new KernelLibrary(context);
        foreach (string file in KernelLibrary.Files)
        {
            string[] names = [.. Entry().Matches(KernelLibrary.Source(file)).SelectMany(match => Versions(match.Groups["name"].Value))];
            long began = Stopwatch.GetTimestamp();
            library.Get(file, names[0]);
            double milliseconds = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
            yield return new LoadedKernels(file, milliseconds, [.. names.Select(name => library.Get(file, name))]);
        }
    }

    /// <param name="architecture">Ten times the compute capability.</param>
    public static IEnumerable<KernelPtx> Ptx(int architecture) => KernelLibrary.Files.Select(file =>
        new KernelPtx(file, KernelCompiler.CompileFor(architecture, file, KernelLibrary.Source(file), KernelLibrary.Headers).Ptx, null));

    private static IEnumerable<string> Versions(string name) => name.EndsWith("##SUFFIX", StringComparison.Ordinal) ? [name.Replace("##SUFFIX", "f32"), name.Replace("##SUFFIX", "f16")] : [name];

    [GeneratedRegex(@"__global__ void __launch_bounds__\([^)]*\)\s*(?<name>\w+(##SUFFIX)?)\(")]
    private static partial Regex Entry();
}
