using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench;

/// <summary>GEMM at the shapes of this model; checked against double-precision sums before it is timed.</summary>
internal static unsafe class GemmBench
{
    private static readonly Shape[] Shapes =
    [
        new("lstm_1 input", 1280, 512, 4096, TransB: true),
        new("lstm_1 weight gradient", 512, 4096, 1280, TransA: true),
        new("lstm_2 input", 1280, 512, 128, TransB: true),
        new("recurrent step", 64, 512, 128, TransB: true, Packed: true),
        new("fc1, 20 frames", 20, 4096, 25088, TransB: true, Packed: true),
        new("fc1, 40 frames", 40, 4096, 25088, TransB: true, Packed: true),
        new("fc2, 40 frames", 40, 4096, 4096, TransB: true, Packed: true),
        new("square", 1024, 1024, 1024),
    ];

    public static void Run(int threads)
    {
        using var team = new ThreadTeam(threads);
        (double best, double median) = FmaPeak.Measure(team);
        Console.WriteLine($"{team.Level}, {threads} threads; FMA peak {best:F0} GFLOP/s best, {median:F0} median");
        Console.WriteLine($"{"shape",-24} {"m",5} {"n",5} {"k",6} {"ms best",9} {"median",9} {"GFLOP/s",8} {"peak",5} {"max error",10}");
        foreach (Shape shape in Shapes)
        {
            Measure(team, shape, best);
        }
    }

    private static void Measure(ThreadTeam team, Shape shape, double peak)
    {
        (int m, int n, int k) = (shape.M, shape.N, shape.K);
        using NativeArray a = NativeArray.Random((long)m * k, 1);
        using NativeArray b = NativeArray.Random((long)n * k, 2);
        using var c = new NativeArray((long)m * n);
        int lda = shape.TransA ? m : k;
        int ldb = shape.TransB ? k : n;
        PackedMatrix? packed = shape.Packed ? new PackedMatrix(team.Level, k, n) : null;
        packed?.Pack(team, shape.TransB, b.Pointer, ldb);
        Timing timing = Timing.Measure(() =>
        {
            if (packed is not null)
            {
                Gemm.RunPacked(team, shape.TransA, m, a.Pointer, lda, packed, c.Pointer, n);
            }
            else
            {
                Gemm.Run(team, shape.TransA, shape.TransB, m, n, k, a.Pointer, lda, b.Pointer, ldb, c.Pointer, n);
            }
        });

        double error = 0;
        var random = new Random(3);
        for (int sample = 0; sample < 200; sample++)
        {
            int i = random.Next(m);
            int j = random.Next(n);
            double sum = 0;
            for (int p = 0; p < k; p++)
            {
                sum += (double)a.Pointer[shape.TransA ? ((long)p * lda) + i : ((long)i * lda) + p]
                    * b.Pointer[shape.TransB ? ((long)j * ldb) + p : ((long)p * ldb) + j];
            }

            error = Math.Max(error, Math.Abs(sum - c.Pointer[((long)i * n) + j]) / Math.Sqrt(k));
        }

        packed?.Dispose();
        double operations = 2.0 * m * n * k / 1e9;
        Console.WriteLine(
            $"{shape.Name,-24} {m,5} {n,5} {k,6} {timing.Best * 1e3,9:F3} {timing.Median * 1e3,9:F3} {operations / timing.Best,8:F0} {operations / timing.Best / peak,5:P0} {error,10:E1}");
        if (!(error < 1e-5))
        {
            throw new InvalidOperationException($"{shape.Name}: wrong result.");
        }
    }

    private sealed record Shape(string Name, int M, int N, int K, bool TransA = false, bool TransB = false, bool Packed = false);
}
