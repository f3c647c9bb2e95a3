using System.Diagnostics;
using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Compare;

/// <summary>Matrix products at the shapes of this model against OpenBLAS with its AVX-512 (SkylakeX) kernels, in one process; the results are compared first.</summary>
internal static unsafe partial class GemmComparison
{
    private const string Library = "libopenblas.so.0";
    private const int RowMajor = 101;
    private const int NoTranspose = 111;
    private const int Transpose = 112;

    private static readonly Shape[] Shapes =
    [
        new("lstm_1 input product", 1280, 512, 4096, TransB: true),
        new("lstm_1 weight gradient", 512, 4096, 1280, TransA: true),
        new("lstm_2 input product", 1280, 512, 128, TransB: true),
        new("lstm_2 weight gradient", 512, 128, 1280, TransA: true),
        new("lstm_2 input gradient", 1280, 128, 512),
        new("recurrent step", 64, 512, 128, TransB: true, Packed: true),
        new("fc1, 20 frames", 20, 4096, 25088, TransB: true, Packed: true),
        new("fc1, 60 frames", 60, 4096, 25088, TransB: true, Packed: true),
        new("fc2, 60 frames", 60, 4096, 4096, TransB: true, Packed: true),
        new("square", 2048, 2048, 2048),
    ];

    public static void Run(Report report, int rounds)
    {
        report.Heading("GEMM");
        bool found = TryLoad(out string reason);
        foreach (int threads in (int[])[1, Environment.ProcessorCount])
        {
            using var team = new ThreadTeam(threads);
            var (peak, medianPeak) = FmaPeak.Measure(team);
            if (found)
            {
                openblas_set_num_threads(threads);
            }

            report.Paragraph(
                $"{threads} {(threads == 1 ? "thread" : "threads")}, GFLOP/s best / median of {rounds} interleaved rounds; FMA peak {peak:F0} best, {medianPeak:F0} median; "
                + (found ? $"OpenBLAS is {Marshal.PtrToStringUTF8(openblas_get_config())}. Weights that many products share are packed once by us, which OpenBLAS cannot." : $"OpenBLAS skipped: {reason}."));
            report.Table(
                ["shape", "m × n × k", "CudaTrainer", "of the peak (best)", "OpenBLAS", "ours is faster by (medians)", "goal"],
                Shapes.Select(shape => Measure(team, shape, rounds, peak, found)));
        }
    }

    private static IReadOnlyList<string> Measure(ThreadTeam team, Shape shape, int rounds, double peak, bool openBlas)
    {
        var (_, m, n, k, transA, transB, isPacked) = shape;
        using NativeArray a = NativeArray.Random((long)m * k, 1);
        using NativeArray b = NativeArray.Random((long)n * k, 2);
        using var c = new NativeArray((long)m * n);
        using var expected = new NativeArray((long)m * n);
        int lda = transA ? m : k;
        int ldb = transB ? k : n;
        using PackedMatrix? packed = isPacked ? new PackedMatrix(team.Level, k, n) : null;
        packed?.Pack(team, transB, b.Pointer, ldb);
        int repeats = Math.Max(1, (int)(2e9 / (2.0 * m * n * k)));
        double[] samples = [.. Sample(shape, a, b)];
        List<Contestant> contestants = [new("ours", () => Time(Ours, repeats))];
        Ours();
        RequireEqual(shape, samples, c);
        if (openBlas)
        {
            contestants.Add(new("OpenBLAS", () => Time(Theirs, repeats)));
            Theirs();
            RequireEqual(shape, samples, expected);
        }

        Seconds[] times = Interleaved.Measure(contestants, rounds);
        double operations = 2.0 * m * n * k / 1e9;
        return
        [
            shape.Name, $"{m} × {n} × {k}", Rates(times[0]), $"{operations / times[0].Best / peak:P0}", openBlas ? Rates(times[1]) : "–", openBlas ? Report.Times(times[1].Median / times[0].Median) : "–",
            $"≥ 1 ×{(operations > 1 ? ", ≥ 80 %" : string.Empty)}",
        ];

        string Rates(Seconds time) => $"{Report.Number(operations / time.Best)} / {Report.Number(operations / time.Median)}";

        void Ours()
        {
            if (packed is null)
            {
                Gemm.Run(team, transA, transB, m, n, k, a.Pointer, lda, b.Pointer, ldb, c.Pointer, n);
            }
            else
            {
                Gemm.RunPacked(team, transA, m, a.Pointer, lda, packed, c.Pointer, n);
            }
        }

        void Theirs() => cblas_sgemm(RowMajor, transA ? Transpose : NoTranspose, transB ? Transpose : NoTranspose, m, n, k, 1, a.Pointer, lda, b.Pointer, ldb, 0, expected.Pointer, n);
    }

    private static double Time(Action action, int repeats)
    {
        long began = Stopwatch.GetTimestamp();
        for (int i = 0; i < repeats; i++)
        {
            action();
        }

        return Stopwatch.GetElapsedTime(began).TotalSeconds / repeats;
    }

    /// <summary>Elements spread over the result, as sums in double precision.</summary>
    private static IEnumerable<double> Sample(Shape shape, NativeArray a, NativeArray b)
    {
        for (int i = 0; i < 100; i++)
        {
            var (row, column) = Place(shape, i);
            double sum = 0;
            for (int p = 0; p < shape.K; p++)
            {
                sum += At(a, shape.TransA, row, p, shape.M, shape.K) * At(b, shape.TransB, p, column, shape.K, shape.N);
            }

            yield return sum;
        }
    }

    private static double At(NativeArray matrix, bool transposed, int row, int column, int rows, int columns) =>
        matrix.Pointer[transposed ? ((long)column * rows) + row : ((long)row * columns) + column];

    private static (int Row, int Column) Place(Shape shape, int sample) => ((int)(sample * 7919L % shape.M), (int)(sample * 104729L % shape.N));

    private static void RequireEqual(Shape shape, double[] samples, NativeArray result)
    {
        for (int i = 0; i < samples.Length; i++)
        {
            var (row, column) = Place(shape, i);
            double error = Math.Abs(result.Pointer[((long)row * shape.N) + column] - samples[i]) / Math.Sqrt(shape.K);
            if (!(error < 1e-5))
            {
                throw new InvalidOperationException($"{shape.Name}: wrong result; not worth timing.");
            }
        }
    }

    private static bool TryLoad(out string reason)
    {
        // Version 0.3.21 does not know Zen 4 and later and would take its AVX2 kernels there; it reads the variable when it is loaded.
        if (System.Runtime.Intrinsics.X86.Avx512F.IsSupported)
        {
            setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
        }

        reason = $"{Library} is not installed";
        return NativeLibrary.TryLoad(Library, out _);
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);

    [LibraryImport(Library)]
    private static partial void openblas_set_num_threads(int threads);

    [LibraryImport(Library)]
    private static partial nint openblas_get_config();

    [LibraryImport(Library)]
    private static partial void cblas_sgemm(
        int order, int transA, int transB, int m, int n, int k, float alpha, float* a, int lda, float* b, int ldb, float beta, float* c, int ldc);

    private sealed record Shape(string Name, int M, int N, int K, bool TransA = false, bool TransB = false, bool Packed = false);
}
