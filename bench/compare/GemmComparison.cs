using System.Diagnostics;
using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Compare;

/// <summary>
/// Matrix products at the shapes of this model against OpenBLAS with its AVX-512 (SkylakeX) kernels, in one process; the results are
/// compared first.
/// </summary>
internal static unsafe partial class GemmComparison
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(40);

    private const string Library = "libopenblas.so.0";
    private const int RowMajor = 101;
    private const int NoTranspose = 111;
    private const int Transpose = 112;

    public static void Run(Report report, int rounds)
    {
        report.Heading("GEMM");
        bool found = TryLoad(out string reason);
        foreach (int threads in (int[])[1, Environment.ProcessorCount])
        {
            using var team = new ThreadTeam(threads);
            (double peak, double medianPeak) = FmaPeak.Measure(team);
            if (found)
            {
                openblas_set_num_threads(threads);
            }

            report.Paragraph(
                $"{threads} {(threads == 1 ? "thread" : "threads")}, GFLOP/s best / median of {rounds} interleaved rounds; FMA peak " +
                    $"{peak:F0} best, {medianPeak:F0} median; "
                + (found ? $"OpenBLAS is {Marshal.PtrToStringUTF8(openblas_get_config())}. Weights that many products share are packed once by us, which OpenBLAS cannot." : $"OpenBLAS skipped: {reason}."));
            report.Table(
                ["shape", "m × n × k", "CudaTrainer", "of the peak (best)", "OpenBLAS", "ours is faster by (medians)"],
                GemmShape.All.Select(shape => Measure(team, shape, rounds, peak, found)));
        }
    }

    private static IReadOnlyList<string> Measure(ThreadTeam team, GemmShape shape, int rounds, double peak, bool openBlas)
    {
        (_, int m, int n, int k, bool transA, bool transB, bool isPacked) = shape;
        using NativeArray a = NativeArray.Random((long)m * k, 1);
        using NativeArray b = NativeArray.Random((long)n * k, 2);
        using var c = new NativeArray((long)m * n);
        using var theirs = new NativeArray((long)m * n);
        using PackedMatrix? packed = isPacked ? new PackedMatrix(team.Level, k, n) : null;
        packed?.Pack(team, transB, b.Pointer, shape.Ldb);
        int repeats = Math.Max(1, (int)(2e9 / (2.0 * m * n * k)));
        List<Contestant> contestants = [new("ours", () => Time(Ours, repeats))];
        Ours();
        RequireRight(c);
        if (openBlas)
        {
            contestants.Add(new("OpenBLAS", () => Time(Theirs, repeats)));
            Theirs();
            RequireRight(theirs);
        }

        Seconds[] times = Interleaved.Measure(contestants, rounds);
        double operations = 2.0 * m * n * k / 1e9;
        return
        [
            shape.Name, $"{m} × {n} × {k}", Rates(times[0]), $"{operations / times[0].Best / peak:P0}",
            openBlas ? Rates(times[1]) : "–", openBlas ? Report.Times(times[1].Median / times[0].Median) : "–",
        ];

        string Rates(Seconds time) => $"{Report.Number(operations / time.Best)} / {Report.Number(operations / time.Median)}";

        void Ours()
        {
            if (packed is null)
            {
                Gemm.Run(team, transA, transB, m, n, k, a.Pointer, shape.Lda, b.Pointer, shape.Ldb, c.Pointer, n);
            }
            else
            {
                Gemm.RunPacked(team, transA, m, a.Pointer, shape.Lda, packed, c.Pointer, n);
            }
        }

        void RequireRight(NativeArray result)
        {
            if (!(shape.RelativeError(a.Pointer, b.Pointer, result.Pointer) <= GemmShape.Tolerance))
            {
                throw new InvalidOperationException($"{shape.Name}: wrong result; not worth timing.");
            }
        }

        void Theirs() => cblas_sgemm(RowMajor, transA ? Transpose : NoTranspose, transB ? Transpose : NoTranspose, m, n, k, 1, a.Pointer,
            shape.Lda, b.Pointer, shape.Ldb, 0, theirs.Pointer, n);
    }

    /// <summary>
    /// Seconds of one product among many: threads that were asleep wake up, and find their processors, before the clock starts.
    /// </summary>
    private static double Time(Action action, int repeats)
    {
        for (long warm = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(warm) < WarmUp;)
        {
            action();
        }

        long began = Stopwatch.GetTimestamp();
        for (int i = 0; i < repeats; i++)
        {
            action();
        }

        return Stopwatch.GetElapsedTime(began).TotalSeconds / repeats;
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
        int order, int transA, int transB, int m, int n, int k, float alpha, float* a, int lda, float* b, int ldb, float beta, float* c,
            int ldc);
}
