using CudaTrainer.Bench;

int threads = args.Length > 1 ? int.Parse(args[1]) : Environment.ProcessorCount;
switch (args.FirstOrDefault())
{
    case "gemm":
        GemmBench.Run(threads);
        return 0;
    default:
        Console.Error.WriteLine("usage: bench gemm|vgg [threads]");
        return 2;
}
