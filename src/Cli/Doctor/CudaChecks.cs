using System.Globalization;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Cli.Doctor;

/// <summary>The driver, its libraries and the GPUs. Having none is a normal state; a driver without what belongs to it is not.</summary>
internal static class CudaChecks
{
    private const string Name = "CUDA";

    private static readonly CudaLibrary Driver = Cuda.Libraries[0];
    private static readonly CudaLibrary Nccl = Cuda.Libraries[3];

    public static IEnumerable<Check> Run()
    {
        yield return Whole();
        if (!Driver.Found)
        {
            yield break;
        }

        foreach (CudaLibrary library in Cuda.Libraries)
        {
            yield return library.Found
                ? Check.Ok(Label(library), $"{library.Version}, {library.Path}")
                : library == Nccl && Cuda.Devices.Count < 2 ? Check.Ok(Label(library), $"not needed for one GPU: {library.Reason}")
                : Check.Warn(Label(library), library.Reason, $"install it, or name its file with {library.Variable}");
        }

        if (Cuda.IsAvailable)
        {
            yield return FolderChecks.Run("kernel cache", PtxCache.Folder);
            foreach (Check check in Devices())
            {
                yield return check;
            }
        }
    }

    /// <summary>What the checks rest on, for <c>--json</c>.</summary>
    public static object Facts() => new
    {
        available = Cuda.IsAvailable,
        simulated = Cuda.IsSimulated,
        reason = Cuda.UnavailableReason,
        driverVersion = Cuda.DriverVersion,
        libraries = Cuda.Libraries.Select(
            library => new { library.Name, library.Found, library.Version, library.Path, library.Variable, trace = library.Trace }),
        devices = Cuda.Devices,
    };

    private static Check Whole()
    {
        if (Cuda.IsSimulated)
        {
            string remedy = $"nothing here runs on a GPU: unset {CudaLibrary.SimulatorVariable}, unless this is a test";
            return Cuda.IsAvailable
                ? Check.Warn(Name, $"SIMULATED: {Cuda.Devices.Count} simulated {(Cuda.Devices.Count == 1 ? "device" : "devices")}", remedy)
                : Check.Warn(Name, $"SIMULATED, and not available: {Cuda.UnavailableReason}; the CPU is used", remedy);
        }

        return Cuda.IsAvailable ? Check.Ok(Name, $"available, {Cuda.Devices.Count} {(Cuda.Devices.Count == 1 ? "GPU" : "GPUs")}")
            : Driver.Found || Driver.WasRefused
                ? Check.Warn(Name, $"not available: {Cuda.UnavailableReason}; the CPU is used",
                    "docs/cuda.md lists what is needed, and what goes wrong")
                : Check.Ok(Name, $"not available: {Cuda.UnavailableReason}; the CPU is used");
    }

    private static string Label(CudaLibrary library) => library == Driver ? "CUDA driver" : library.Name;

    /// <summary>Opens every GPU, as a run would: only that shows whether it can be used, and which can reach which.</summary>
    private static IEnumerable<Check> Devices()
    {
        var open = new List<CudaContext>();
        try
        {
            foreach (CudaDeviceInfo device in Cuda.Devices)
            {
                yield return Open(device, open);
            }

            foreach (CudaContext context in open)
            {
                yield return Kernels(context);
            }

            if (open.Count > 1)
            {
                yield return Check.Ok("GPU to GPU", Peers(open));
            }
        }
        finally
        {
            open.ForEach(context => context.Dispose());
        }
    }

    private static Check Open(CudaDeviceInfo device, List<CudaContext> open)
    {
        string name = $"cuda:{device.Ordinal}";
        string facts = $"{device.Name}, compute capability {device.ComputeMajor}.{device.ComputeMinor}, {device.Multiprocessors} multiprocessors, {MetricText.Size(device.MemoryBytes)}";
        try
        {
            var context = new CudaContext(device.Ordinal);
            open.Add(context);
            return Check.Ok(name, $"{facts}, {MetricText.Size(context.MemoryInfo().Free)} free, {device.Uuid}");
        }
        catch (CudaException exception)
        {
            return Check.Fail(name, $"{facts}: {exception.Message}", "look at nvidia-smi, and at docs/cuda.md");
        }
    }

    /// <summary>Whether a kernel gets from C# onto the GPU, which nothing else that is checked shows.</summary>
    private static Check Kernels(CudaContext context)
    {
        string name = $"kernels of cuda:{context.Ordinal}";
        try
        {
            KernelTrial trial = KernelTrial.Run(context);
            return Check.Ok(name, string.Create(
                CultureInfo.InvariantCulture,
                $"PTX {trial.PtxVersion} for sm_{trial.Target}, " +
                $"compiled in {trial.Compilation.TotalMilliseconds:0} ms, loaded in {trial.Loading.TotalMilliseconds:0} ms"));
        }
        catch (Exception exception) when (exception is CudaException or KernelRefusedException)
        {
            return Check.Fail(name, exception.Message, "docs/cuda.md lists what is needed, and what goes wrong");
        }
    }

    /// <summary>As the driver says. Whether the bytes arrive is for whoever uses it to try.</summary>
    private static string Peers(List<CudaContext> contexts)
    {
        IEnumerable<string> pairs = contexts.SelectMany(from => contexts.Where(to => to != from)
            .Select(to => $"{from.Ordinal}->{to.Ordinal} {(from.CanAccessPeer(to) ? "direct" : "by way of the host")}"));
        return string.Join(", ", pairs);
    }
}
