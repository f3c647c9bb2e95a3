using CudaTrainer.Bench;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Bench.Gpu;
using CudaTrainer.Bench.Kernels;
using CudaTrainer.Bench.Live;
using CudaTrainer.Bench.Scaling;
using CudaTrainer.Bench.Speed;

switch (args.FirstOrDefault())
{
    case "kernels":
        return KernelCommand.Run(string.Join(' ', args.Skip(1)));
    case "layers":
        LayerProfile.Run(Number(1, Environment.ProcessorCount), batch: Number(2, 20), shallowBatch: Number(3, 1), seconds: 5);
        return 0;
    case "step":
        StepProfile.Run(Number(1, Environment.ProcessorCount), steps: Number(2, 100));
        return 0;
    case "sparse":
        SparseCrossover.Run(Number(1, Environment.ProcessorCount));
        return 0;
    case "gpu":
        return GpuCommand.Run(args.AsSpan(1));
    case "features" when args.Length >= 2:
        GpuFeatures.Write(args[1], args.Contains("--smoke"));
        return 0;
    case "ptxas" when args.Length >= 2:
        return KernelResources.Run(args[1], args.Length > 2 ? args[2] : Path.Combine("bench", "results", "cuda-kernels.md"));
    case "scaling":
        return ScalingCommand.Run(rounds: Number(1, 5), args.Length > 2 ? args[2] : Path.Combine("bench", "results", "scaling.md"));
    case "scaling-rank" when args.Length >= 2:
        return ScalingCommand.RunRank(args.AsSpan(1));
    case "compare":
        return Comparison.Run(args.AsSpan(1));
    case "speed":
        return SpeedCommand.Run(Environment.GetEnvironmentVariable("BENCH_DATASET"), args[1..],
            Path.Combine(Repository.Root, args.Length > 1 ? "artifacts/speed-part.md" : "bench/results/speed.md"));
    case "live":
        return LiveCommand.Run(args.ElementAtOrDefault(1) ?? "", args.ElementAtOrDefault(2) ?? "bundled");
    case "frames" when args.Length >= 3:
        FrameDump.Run(args[1], args[2], Number(3, 20));
        return 0;
    default:
        Console.Error.WriteLine(
            """
            usage: bench kernels [part of a name]   check and time every kernel, by one thread and by all
                   bench layers [threads [batch [images at a time in the first layers]]]   the VGG19 pass, layer by layer
                   bench step [threads [steps]]     training steps alone
                   bench sparse [threads]           where the sparse input product begins to win
                   bench gpu [loads] [ops] [steps] [vgg] [--quick] [--smoke] [--json FILE] [--peer SCRIPT]
                                                    kernels, ops, steps and VGG19 on the first GPU against its own ceilings and PyTorch, as Markdown
                   bench features FOLDER [--smoke]  random features, to train on without videos
                   bench ptxas FOLDER [FILE]        registers, spills, shared memory and occupancy of every CUDA kernel by ptxas and nvdisasm in FOLDER
                   bench scaling [rounds [FILE]]    all-reduces, steps and frames by several processes, which it starts by mpirun; five minutes
                   bench compare [section]... [--rounds N] [--dataset DIR] [--clips N] [--output FILE]   against other engines
                   bench speed [step] [vgg] [small] [program]   the table of goals, half an hour; clips of BENCH_DATASET
                   bench live [CLIP [CHECKPOINT]]   what a camera costs, how many this machine carries, latency; "" draws a clip
                   bench frames CLIP OUT.npy [frames]        what the network sees of a clip
            """);
        return 2;
}

int Number(int index, int fallback) => args.Length > index ? int.Parse(args[index]) : fallback;
