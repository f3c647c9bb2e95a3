namespace CudaTrainer.Bench.Kernels;

/// <summary>What a kernel does at least, whatever its implementation: the measure of its speed.</summary>
/// <param name="Operations">Floating-point operations of the definition; 0 where they do not matter beside the memory.</param>
/// <param name="Read">Bytes of its inputs.</param>
/// <param name="Written">Bytes of its outputs.</param>
internal readonly record struct Work(double Operations, double Read, double Written)
{
    private readonly double? _executed;

    /// <summary>Operations that remain where the algorithm saves some (Winograd, zeros); as many as defined unless set.</summary>
    public double Executed
    {
        get => _executed ?? Operations;
        init => _executed = value;
    }

    public double Bytes => Read + Written;
}
