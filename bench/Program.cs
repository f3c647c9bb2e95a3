using CudaTrainer.Bench;

int Argument(int index, int fallback) => args.Length > index ? int.Parse(args[index]) : fallback;
int threads = Argument(1, Environment.ProcessorCount);
switch (args.FirstOrDefault())
{
    case "gemm":
        GemmBench.Run(threads);
        return 0;
    case "vgg":
        VggBench.Run(threads, batch: Argument(2, 20), shallowBatch: Argument(3, 1), seconds: 5);
        return 0;
    default:
        Console.Error.WriteLine("usage: bench gemm [threads] | vgg [threads [batch [images at a time in the first layers]]]");
        return 2;
}
