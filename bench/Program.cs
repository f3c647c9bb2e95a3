using CudaTrainer.Bench;

switch (args.FirstOrDefault())
{
    case "gemm":
        GemmBench.Run(Number(1, Environment.ProcessorCount));
        return 0;
    case "vgg":
        VggBench.Run(Number(1, Environment.ProcessorCount), batch: Number(2, 20), shallowBatch: Number(3, 1), seconds: 5);
        return 0;
    case "step":
        StepProfile.Run(Number(1, Environment.ProcessorCount), steps: Number(2, 100));
        return 0;
    case "sparse":
        SparseCrossover.Run(Number(1, Environment.ProcessorCount));
        return 0;
    case "compare":
        return CudaTrainer.Bench.Compare.Comparison.Run(args.AsSpan(1));
    case "frames" when args.Length >= 3:
        FrameDump.Run(args[1], args[2], Number(3, 20));
        return 0;
    default:
        Console.Error.WriteLine("usage: bench gemm [threads] | vgg [threads [batch [images at a time in the first layers]]] | step [threads [steps]] | sparse [threads] | compare [section]... [--rounds N] | frames CLIP OUT.npy [frames]");
        return 2;
}

int Number(int index, int fallback) => args.Length > index ? int.Parse(args[index]) : fallback;
