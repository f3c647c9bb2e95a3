using System.Globalization;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Interop;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Parallel;

/// <summary>The devices that a run uses, and why.</summary>
/// <param name="Devices">One or more of one kind.</param>
public sealed record DeviceChoice(IReadOnlyList<IDevice> Devices, string Reason) : IDisposable
{
    private const int DecodersPerProcessor = 4;

    /// <summary>The first device, for what runs on one.</summary>
    public IDevice Device => Devices[0];

    /// <summary>
    /// Whether <see cref="TrainingOptions.MixedPrecision"/> and <see cref="TrainingOptions.Xla"/> are on unless switched off.
    /// </summary>
    public bool IsCuda => Device is CudaDevice;

    /// <summary>Makes the devices that <see cref="VideoOptions.Device"/> names. Never falls back silently.</summary>
    /// <param name="name"><c>auto</c>, <c>cpu</c>, <c>cpu:N</c> (N virtual devices), <c>reference</c>, <c>cuda</c> (all GPUs),
    /// <c>cuda:0,1</c>.</param>
    /// <param name="threads">Compute threads, of all virtual devices together; 0 = one per core.</param>
    /// <param name="mixedPrecision">
    /// Whether a GPU computes features in half precision, null = yes, and a processor that can multiplies in bfloat16, null = no.
    /// </param>
    /// <exception cref="RunException">There is no such device here.</exception>
    public static DeviceChoice Open(string name, int threads, bool? mixedPrecision = null)
    {
        int useful = MostThreads(threads);
        return useful == threads
            ? OpenNamed(name, threads, mixedPrecision)
            : OpenNamed(name, useful, mixedPrecision) is var choice && choice.IsCuda ? choice : choice with
            {
                Reason = $"{choice.Reason}; {useful} threads instead of {threads}, one for each processor of this machine",
            };
    }

    /// <summary>
    /// As many threads as are asked for, or as the machine has processors: where more wait for each other, they do so for those that have
    /// none.
    /// </summary>
    public static int MostThreads(int asked) => Math.Min(asked, Environment.ProcessorCount);

    /// <summary>The same of clips that are decoded at a time: they wait for files, not for each other.</summary>
    internal static int MostDecoders(int asked) => Math.Min(asked, DecodersPerProcessor * Environment.ProcessorCount);

    /// <summary>
    /// One CPU device for work that is not shared out among devices, since virtual devices split the threads that one could have for
    /// itself.
    /// </summary>
    /// <param name="threads">As in <see cref="Open"/>.</param>
    /// <returns>Null when the first device is as good: there is one only, or it is not a CPU.</returns>
    internal CpuDevice? WholeCpu(int threads) => Devices.Count > 1 && Device is CpuDevice ? new CpuDevice(MostThreads(threads)) : null;

    private static DeviceChoice OpenNamed(string name, int threads, bool? mixedPrecision)
    {
        switch (name)
        {
            case "auto":
                return Auto(threads, mixedPrecision, ordinals: null);
            case "cpu":
                return new DeviceChoice([Cpu(threads, mixedPrecision)], "asked for");
            case "reference":
                return new DeviceChoice([new ReferenceDevice()], "asked for; slow by design");
            case "cuda":
                return OpenCuda(name, null, mixedPrecision, "asked for");
        }

        if (name.StartsWith("cpu:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(4), CultureInfo.InvariantCulture,
            out int count) && count >= 1)
        {
            return new DeviceChoice(VirtualCpus(count, threads, mixedPrecision), "asked for");
        }

        if (name.StartsWith("cuda:", StringComparison.Ordinal))
        {
            return OpenCuda(name, Ordinals(name), mixedPrecision, "asked for");
        }

        throw new RunException($"{SettingName.Of(nameof(TrainingOptions.Device))} {name}: there is no such device.",
            "Use auto, cpu, cuda or reference.");
    }

    /// <summary>
    /// As <see cref="Open"/>, for work that is divided by clips: all GPUs, but one processor with all threads instead of virtual ones.
    /// </summary>
    public static DeviceChoice OpenWhole(string name, int threads) =>
        Open(name.StartsWith("cpu:", StringComparison.Ordinal) ? "cpu" : name, threads);

    /// <summary>As <see cref="Open"/>, for what runs on one device: the first of those named, on a processor with all threads.</summary>
    public static DeviceChoice OpenOne(string name, int threads, bool? mixedPrecision = null)
    {
        if (name.StartsWith("cpu:", StringComparison.Ordinal))
        {
            name = "cpu";
        }

        return name is "auto"
            ? Auto(MostThreads(threads), mixedPrecision, [0])
            : Open(name is "cuda" ? "cuda:0" : name.Split(',')[0], threads, mixedPrecision);
    }

    /// <summary>
    /// As <see cref="Open"/>, for one of several processes: the GPU of its number on its machine, or its share of the processor.
    /// </summary>
    internal static DeviceChoice OpenShare(string name, int threads, bool? mixedPrecision, ProcessGroup processes)
    {
        bool picksCuda = name is "cuda" || name.StartsWith("cuda:", StringComparison.Ordinal)
            || (name is "auto" && Cuda.IsAvailable && !Cuda.IsSimulated);
        string reason = $"asked for; process {processes.LocalRank + 1} of {processes.LocalSize} on this machine";
        if (picksCuda)
        {
            int[] ordinals = name.Contains(':', StringComparison.Ordinal)
                ? Ordinals(name)
                : [.. Enumerable.Range(0, Cuda.IsAvailable ? Cuda.Devices.Count : 1)];
            return processes.LocalRank < ordinals.Length
                ? OpenCuda(name, [ordinals[processes.LocalRank]], mixedPrecision, reason)
                : throw new RunException(
                    $"{SettingName.Of(nameof(TrainingOptions.Device))} {name}: this machine has {ordinals.Length} GPUs for " +
                        $"{processes.LocalSize} processes.",
                        "Start one process for each GPU: mpirun --map-by ppr:N:node, N being the number of GPUs.");
        }

        if (name is "auto" or "cpu")
        {
            int share = Math.Max(1, Environment.ProcessorCount / processes.LocalSize);
            return new DeviceChoice([Cpu(threads > 0 ? MostThreads(threads) : share, mixedPrecision)], reason);
        }

        throw new RunException($"{SettingName.Of(nameof(TrainingOptions.Device))} {name} does not go together with " +
            $"{SettingName.Of(nameof(TrainingOptions.Distributed))}: each process has one device.",
            "Use cpu or cuda, and start as many processes as there are to be devices.");
    }

    /// <summary>Which devices, why, and what they are.</summary>
    public string Text => $"{Names} ({Reason}): {Kinds}";

    /// <summary>What they are.</summary>
    public string Description => $"{Names}: {Kinds}";

    private string Names => string.Join(", ", Devices.Select(device => device.Name));

    private string Kinds
    {
        get
        {
            string[] kinds = [.. Devices.Select(device => device.Description).Distinct()];
            return Devices.Count > 1 && kinds.Length == 1 ? $"each {kinds[0]}" : string.Join("; ", kinds);
        }
    }

    public void Dispose()
    {
        foreach (IDevice device in Devices)
        {
            device.Dispose();
        }
    }

    private static CpuDevice Cpu(int threads, bool? mixedPrecision, int index = 0) =>
        new(threads, index, halfProducts: mixedPrecision == true);

    private static IDevice[] VirtualCpus(int count, int threads, bool? mixedPrecision)
    {
        int each = Math.Max(1, (threads == 0 ? Environment.ProcessorCount : threads) / count);
        return count == 1 ? [Cpu(threads, mixedPrecision)]
            : [.. Enumerable.Range(0, count).Select(index => Cpu(each, mixedPrecision, index))];
    }

    /// <summary>The numbers behind <c>cuda:</c>, whose form <see cref="OptionValidation"/> has checked.</summary>
    private static int[] Ordinals(string name) =>
        [.. name[5..].Split(',').Select(part => int.Parse(part, NumberStyles.None, CultureInfo.InvariantCulture))];

    private static DeviceChoice Auto(int threads, bool? mixedPrecision, int[]? ordinals)
    {
        if (!Cuda.IsAvailable)
        {
            // Every path that was tried is doctor's to tell.
            return new DeviceChoice([Cpu(threads, mixedPrecision)], $"auto: no CUDA, {Cuda.UnavailableReason.Split(" (tried")[0]}");
        }

        // The simulator is for tests that ask for it.
        return Cuda.IsSimulated
            ? new DeviceChoice([Cpu(threads, mixedPrecision)],
                $"auto: the simulated GPU is used only with {SettingName.Of(nameof(TrainingOptions.Device))} cuda")
            : OpenCuda("cuda", ordinals, mixedPrecision, ordinals is null ? "auto: every GPU" : "auto: the first GPU");
    }

    /// <param name="ordinals">Null = all.</param>
    private static DeviceChoice OpenCuda(string name, int[]? ordinals, bool? mixedPrecision, string reason)
    {
        if (!Cuda.IsAvailable)
        {
            throw new RunException($"{SettingName.Of(nameof(TrainingOptions.Device))} {name}: CUDA is not available: " +
                $"{Cuda.UnavailableReason}",
                "`cudatrainer doctor` lists what was looked for and where; docs/cuda.md says what is needed. " +
                    $"{SettingName.Of(nameof(TrainingOptions.Device))} cpu works " +
                    "everywhere.");
        }

        ordinals ??= [.. Enumerable.Range(0, Cuda.Devices.Count)];
        foreach (int ordinal in ordinals.Where(ordinal => ordinal >= Cuda.Devices.Count))
        {
            throw new RunException($"{SettingName.Of(nameof(TrainingOptions.Device))} {name}: there is no GPU {ordinal}; this machine " +
                $"has {Cuda.Devices.Count}, numbered from 0.",
                "`cudatrainer doctor` lists them; CUDA_VISIBLE_DEVICES may hide some.");
        }

        List<CudaDevice> devices = [];
        try
        {
            foreach (int ordinal in ordinals)
            {
                devices.Add(new CudaDevice(ordinal, CudaDeviceOptions.FromEnvironment(mixedPrecision ?? true)));
            }

            return new DeviceChoice(devices, reason);
        }
        catch (Exception exception)
        {
            foreach (CudaDevice device in devices)
            {
                device.Dispose();
            }

            throw exception is CudaException
                ? new RunException($"{SettingName.Of(nameof(TrainingOptions.Device))} {name}: {exception.Message}",
                    $"`cudatrainer doctor` checks driver and libraries; {SettingName.Of(nameof(TrainingOptions.Device))} cpu works " +
                        "everywhere.", exception)
                : exception;
        }
    }
}
