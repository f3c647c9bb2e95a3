using System.Globalization;
using System.Text.Json.Nodes;
using CudaTrainer.Bench.Kernels;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Bench.Gpu;

/// <summary>
/// <c>bench gpu</c>: every kernel on the GPU, every op of a training step against the ceilings that this GPU was measured to have, then
/// whole training steps and the VGG19 pass beside PyTorch's, as Markdown. Each op is compared with the reference before it is timed, steps
/// and features with PyTorch's.
/// </summary>
internal static class GpuCommand
{
    private const double SingleTolerance = 1e-4;
    private const double HalfTolerance = 4e-3;

    /// <returns>The exit code.</returns>
    public static int Run(ReadOnlySpan<string> arguments)
    {
        if (GpuOptions.Parse(arguments) is not { } options)
        {
            return 2;
        }

        if (!Cuda.IsAvailable)
        {
            Console.Error.WriteLine($"bench gpu: CUDA is not available: {Cuda.UnavailableReason}");
            return 1;
        }

        var findings = new GpuFindings(options.Json);
        Introduce(options, findings);
        bool passed = true;
        foreach (string section in options.Sections)
        {
            passed &= section switch
            {
                "loads" => GpuLoads.Run(findings),
                "ops" => Ops(options, findings),
                "steps" => GpuSteps.Run(options, findings),
                _ => GpuVgg.Run(options, findings),
            };
        }

        return passed ? 0 : 1;
    }

    private static void Introduce(GpuOptions options, GpuFindings findings)
    {
        CudaDeviceInfo device = Cuda.Devices[0];
        Console.WriteLine($"# GPU measurements\n\n{device.Name}, compute capability {device.ComputeMajor}.{device.ComputeMinor}, driver {Cuda.DriverVersion / 1000}.{Cuda.DriverVersion % 1000 / 10}\n");
        findings.Set("gpu", device.Name);
        findings.Set("compute_capability", $"{device.ComputeMajor}.{device.ComputeMinor}");
        findings.Set("driver", Cuda.DriverVersion);
        findings.Set("simulated", Cuda.IsSimulated);
        foreach (CudaLibrary library in Cuda.Libraries)
        {
            if (options.Sections[0] == "loads")
            {
                Console.WriteLine($"- {library.Name}: {(library.Found ? $"{library.Version}, {library.Path}" : "not found")}");
            }

            findings.Add("libraries",
                new JsonObject
                {
                    ["name"] = library.Name,
                    ["version"] = library.Found ? library.Version : null,
                    ["path"] = library.Found ? library.Path : null
                });
        }

        if (Cuda.IsSimulated || options.Smoke)
        {
            Console.WriteLine($"\n**{(Cuda.IsSimulated ? "SIMULATED GPU" : "Smoke run")}: the times below mean nothing.**");
        }
    }

    private static bool Ops(GpuOptions options, GpuFindings findings)
    {
        using var device = new CudaDevice(0);
        GpuCeilings ceilings = GpuCeilings.Measure(device, options.Smoke);
        Console.WriteLine($"\n## Ceilings\n\n{ceilings}\n");
        findings.Set("copy_bytes_per_second", ceilings.CopyBytes);
        findings.Set("fp32_flops", ceilings.SingleFlops);
        findings.Set("fp16_flops", ceilings.HalfFlops);
        ModelOps kernels = options.Smoke ? new ModelOps(3, 4, 64) : new ModelOps(64, 20, Vgg19.Features);

        // The reference takes minutes for the whole batch.
        ModelOps check = options.Quick && !options.Smoke ? new ModelOps(4, 20, Vgg19.Features) : kernels;
        Console.WriteLine($"## Ops\n\nEach against the reference first{(check == kernels ? string.Empty : ", at a batch of 4")}; bound = the larger of bytes / copy bandwidth and FLOPs / GEMM rate.\n");
        Console.WriteLine("| op | type | µs | GB/s | TFLOP/s | of the bound | error |\n|---|---|---:|---:|---:|---:|---:|");
        bool passed = true;
        foreach ((TimedOp kernel, TimedOp small) in All(kernels).Zip(All(check)))
        {
            double error = double.NaN;
            string fault = string.Empty;
            try
            {
                error = Check(device, small);
            }
            catch (WrongResultException wrong)
            {
                // The times of the others are wanted all the same.
                fault = wrong.Message;
                passed = false;
            }

            using var tensors = new OpTensors(device);
            double seconds = device.SecondsPer(kernel.Build(tensors).Run, options.Smoke ? 1 : options.Quick ? 50 : 200,
                options.Smoke ? 2 : 5);
            double bound = Math.Max(kernel.Work.Bytes / ceilings.CopyBytes,
                kernel.Work.Operations / (kernel.Type == DType.Float16 ? ceilings.HalfFlops : ceilings.SingleFlops));
            string type = kernel.Type == DType.Float16 ? "fp16" : "fp32";
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {kernel.Name} | {type} | {seconds * 1e6:F1} | {kernel.Work.Bytes / seconds * 1e-9:F0} | {(kernel.Work.Operations > 0 ? (kernel.Work.Operations / seconds * 1e-12).ToString("F2", CultureInfo.InvariantCulture) : string.Empty)} | {bound / seconds:P0} | {(fault.Length > 0 ? $"**{fault}**" : error.ToString("E1", CultureInfo.InvariantCulture))} |"));
            findings.Add("ops", new JsonObject
            {
                ["name"] = kernel.Name,
                ["type"] = type,
                ["seconds"] = seconds,
                ["bytes_per_second"] = kernel.Work.Bytes / seconds,
                ["of_bound"] = bound / seconds,
                ["error"] = fault.Length > 0 ? fault : error,
            });
        }

        return passed;
    }

    private static IEnumerable<TimedOp> All(ModelOps ops) =>
        new[] { DType.Float32, DType.Float16 }.SelectMany(type => (IEnumerable<TimedOp>)[.. ops.Layers(type), .. ops.Others(type)]);

    private static double Check(CudaDevice device, TimedOp op)
    {
        using OpTensors tensors = new(device);
        return OpKernel.Check(op.Build(tensors), op, op.Type == DType.Float16 ? HalfTolerance : SingleTolerance);
    }

    /// <summary>Seconds of one of many calls queued behind each other; the best series.</summary>
    internal static double SecondsPer(this CudaDevice device, Action run, int calls, int rounds = 5)
    {
        run();
        device.Synchronize();
        double best = double.PositiveInfinity;
        for (int series = 0; series < rounds; series++)
        {
            long began = System.Diagnostics.Stopwatch.GetTimestamp();
            for (int i = 0; i < calls; i++)
            {
                run();
            }

            device.Synchronize();
            best = Math.Min(best, System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds / calls);
        }

        return best;
    }
}

/// <summary>What this GPU was measured to reach.</summary>
/// <param name="CopyBytes">Bytes read and written in a second by a copy on the device.</param>
/// <param name="SingleFlops">FLOP/s of a large product in single precision.</param>
/// <param name="HalfFlops">FLOP/s of a large product in half precision with fp32 sums.</param>
internal readonly record struct GpuCeilings(double CopyBytes, double SingleFlops, double HalfFlops)
{
    public static GpuCeilings Measure(CudaDevice device, bool smoke)
    {
        int bytes = smoke ? 1 << 20 : 1 << 29, side = smoke ? 64 : 4096;
        using Tensor source = Tensor.Zeros(device, [bytes], DType.UInt8), target = Tensor.Zeros(device, [bytes], DType.UInt8);
        double copy = 2.0 * bytes / device.SecondsPer(() => device.Copy(source.Data, target.Data, bytes), smoke ? 2 : 20);
        return new GpuCeilings(copy, Product(DType.Float32), Product(DType.Float16));

        double Product(DType type)
        {
            using var tensors = new OpTensors(device);
            Tensor a = tensors.Random([side, side], 1, type), b = tensors.Random([side, side], 1, type),
                c = tensors.Zeros([side, side], type);
            return 2.0 * side * side * side / device.SecondsPer(() => tensors.Ops.Gemm(a, false, b, true, c), smoke ? 1 : 10);
        }
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"- copy on the device: {CopyBytes * 1e-9:F0} GB/s\n- matrix product, fp32: {SingleFlops * 1e-12:F1} TFLOP/s\n- matrix " +
            $"product, fp16: {HalfFlops * 1e-12:F1} TFLOP/s");
}
