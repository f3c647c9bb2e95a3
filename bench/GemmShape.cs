namespace CudaTrainer.Bench;

/// <summary>C[m, n] = op(A)·op(B) as the model needs it.</summary>
/// <param name="Name">Where it occurs.</param>
/// <param name="Packed">Whether B's panels are packed once, as for weights that many products share.</param>
internal sealed unsafe record GemmShape(string Name, int M, int N, int K, bool TransA = false, bool TransB = false, bool Packed = false)
{
    /// <summary>Largest relative error of a right result: rounding leaves a tenth of it.</summary>
    public const double Tolerance = 3e-6;

    private const int Samples = 200;

    public static GemmShape[] All { get; } =
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

    /// <summary>Floats from one stored row of A to the next.</summary>
    public int Lda => TransA ? M : K;

    /// <summary>Floats from one stored row of B to the next.</summary>
    public int Ldb => TransB ? K : N;

    public double Operations => 2.0 * M * N * K;

    /// <summary>Relative error of elements spread over <paramref name="c"/> [m, n] against sums in double precision.</summary>
    public double RelativeError(float* a, float* b, float* c)
    {
        double[] actual = new double[Samples], expected = new double[Samples];
        var random = new Random(3);
        for (int sample = 0; sample < Samples; sample++)
        {
            int i = random.Next(M), j = random.Next(N);
            actual[sample] = c[((long)i * N) + j];
            for (int p = 0; p < K; p++)
            {
                expected[sample] += (double)a[TransA ? ((long)p * Lda) + i : ((long)i * Lda) + p]
                        * b[TransB ? ((long)j * Ldb) + p : ((long)p * Ldb) + j];
            }
        }

        return Engine.Checks.GradientCheck.RelativeError(actual, expected);
    }
}
