using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Kernels;

/// <summary>Matrix products at the shapes of the model.</summary>
internal static unsafe class GemmKernels
{
    public static IEnumerable<KernelCase> All => GemmShape.All.Select(shape => new KernelCase(
        $"gemm {shape.Name}{(shape.Packed ? " (packed)" : string.Empty)} {shape.M}x{shape.N}x{shape.K}",
        new Work(shape.Operations, 4.0 * shape.K * (shape.M + shape.N), 4.0 * shape.M * shape.N),
        threads => Prepare(shape, threads)));

    private static PreparedKernel Prepare(GemmShape shape, int threads)
    {
        (int m, int n, int k) = (shape.M, shape.N, shape.K);
        var team = new ThreadTeam(threads);
        NativeArray a = NativeArray.Random((long)m * k, 1), b = NativeArray.Random((long)n * k, 2);
        var c = new NativeArray((long)m * n);
        PackedMatrix? packed = shape.Packed ? new PackedMatrix(team.Level, k, n) : null;
        packed?.Pack(team, shape.TransB, b.Pointer, shape.Ldb);
        return new PreparedKernel(Run, Check, team, a, b, c, packed);

        void Run()
        {
            if (packed is null)
            {
                Gemm.Run(team, shape.TransA, shape.TransB, m, n, k, a.Pointer, shape.Lda, b.Pointer, shape.Ldb, c.Pointer, n);
            }
            else
            {
                Gemm.RunPacked(team, shape.TransA, m, a.Pointer, shape.Lda, packed, c.Pointer, n);
            }
        }

        void Check()
        {
            Run();
            WrongResultException.ThrowIfAbove("the product", shape.RelativeError(a.Pointer, b.Pointer, c.Pointer), GemmShape.Tolerance);
        }
    }
}
