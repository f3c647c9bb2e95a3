using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// cuBLAS and cuDNN through their owners, against plain loops in double precision. Inputs are rounded to the type of the operands first.
/// </summary>
public sealed class CudaLibrariesTests : InteropTest
{
    private const float SingleTolerance = 1e-5f;
    private const float HalfTolerance = 2e-3f;

    public static TheoryData<bool, bool, CudaType, CudaType, bool> Products()
    {
        var cases = new TheoryData<bool, bool, CudaType, CudaType, bool>();
        foreach ((CudaType operands,
            CudaType result) in new[] { (CudaType.Float32, CudaType.Float32), (CudaType.Float16, CudaType.Float32), (CudaType.Float16,
            CudaType.Float16) })
        {
            for (int bits = 0; bits < 8; bits++)
            {
                cases.Add((bits & 1) != 0, (bits & 2) != 0, operands, result, (bits & 4) != 0);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Products))]
    public void Products_are_row_major_with_every_transposition(bool transposeA, bool transposeB, CudaType operands, CudaType result,
        bool padded)
    {
        const int M = 5, N = 7, K = 9;
        int gap = padded ? 8 : 0;
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var cublas = new CublasHandle(context, stream, 1 << 20);
        int lda = (transposeA ? M : K) + gap, ldb = (transposeB ? K : N) + gap, ldc = N + gap;
        float[] a = Rounded((transposeA ? K : M) * lda, 1, operands), b = Rounded((transposeB ? N : K) * ldb, 2, operands),
            c = Rounded(M * ldc, 3, result);
        nint deviceC = UploadAs(stream, c, result);
        cublas.Gemm(
            transposeA, transposeB, M, N, K, 0.5f, UploadAs(stream, a, operands), operands, lda, UploadAs(stream, b, operands), operands,
                ldb, 2, deviceC, result, ldc);
        float[] actual = ReadAs(stream, deviceC, c.Length, result);
        for (int row = 0; row < M; row++)
        {
            for (int column = 0; column < ldc; column++)
            {
                double sum = 0;
                for (int i = 0; i < K; i++)
                {
                    sum += (double)(transposeA ? a[(i * lda) + row] : a[(row * lda) + i]) * (
                        column < N ? transposeB ? b[(column * ldb) + i] : b[(i * ldb) + column] : 0);
                }

                double expected = column < N ? (0.5 * sum) + (2.0 * c[(row * ldc) + column]) : c[(row * ldc) + column];
                Agree(actual[(row * ldc) + column], expected, result);
            }
        }

        context.Counters.LibraryCalls.ShouldBe(1);
        cublas.Version.ShouldBeGreaterThan(11_000);
    }

    [Fact]
    public void Empty_products_do_nothing()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var cublas = new CublasHandle(context, stream, 1 << 20);
        nint c = Upload(stream, 1f, 2f, 3f, 4f);
        cublas.Gemm(false, false, 0, 2, 2, 1, c, CudaType.Float32, 2, c, CudaType.Float32, 2, 0, c, CudaType.Float32, 2);
        Read<float>(stream, c, 4).ShouldBe([1, 2, 3, 4]);
    }

    [Fact]
    public void A_wrong_leading_dimension_is_refused_by_name()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using var cublas = new CublasHandle(context, stream, 1 << 20);
        nint x = Upload(stream, new float[16]), y = Upload(stream, new float[16]);
        cublas.Gemm(false, false, 4, 4, 4, 1, x, CudaType.Float32, 4, x, CudaType.Float32, 4, 0, y, CudaType.Float32, 4);
        CudaException failure = Should.Throw<CudaException>(
            () => cublas.Gemm(false, false, 4, 4, 4, 1, x, CudaType.Float32, 3, x, CudaType.Float32, 4, 0, y, CudaType.Float32, 4));
        (failure.Call, failure.IsSticky).ShouldBe(("cublasGemmEx", false));
        failure.Message.ShouldContain("cuBLAS");
        context.FirstFailure.ShouldBeNull();
    }

    [Theory]
    [InlineData(CudaType.Float32)]
    [InlineData(CudaType.Float16)]
    public void Convolutions_add_the_bias_and_cut_off_below_zero(CudaType type)
    {
        const int Images = 2, Channels = 8, Height = 5, Width = 6, Filters = 16;
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using CudnnHandle cudnn = OpenCudnn(context, stream);
        using var convolution = new CudnnConvolution(cudnn, Images, Channels, Height, Width, Filters, type, 16 << 20);
        float[] x = Rounded(Images * Height * Width * Channels, 1, type), filters = Rounded(Filters * 9 * Channels, 2, type, 0.2f),
            bias = Rounded(Filters, 3, type);
        nint y = UploadAs(stream, Rounded(Images * Height * Width * Filters, 4, type), type);
        nint workspace = context.TryAllocate(Math.Max(1, convolution.WorkspaceBytes));
        convolution.WorkspaceBytes.ShouldBeLessThanOrEqualTo(16 << 20);
        convolution.Run(UploadAs(stream, x, type), UploadAs(stream, filters, type), UploadAs(stream, bias, type), y, workspace);
        float[] actual = ReadAs(stream, y, Images * Height * Width * Filters, type);
        int index = 0, cut = 0;
        for (int n = 0; n < Images; n++)
        {
            for (int row = 0; row < Height; row++)
            {
                for (int column = 0; column < Width; column++)
                {
                    for (int k = 0; k < Filters; k++)
                    {
                        double sum = bias[k];
                        for (int tap = 0; tap < 9; tap++)
                        {
                            int i = row + (tap / 3) - 1, j = column + (tap % 3) - 1;
                            for (int c = 0; c < Channels && i >= 0 && i < Height && j >= 0 && j < Width; c++)
                            {
                                sum += (double)x[(((((n * Height) + i) * Width) + j) * Channels) + c]
                                        * filters[(((k * 9) + tap) * Channels) + c];
                            }
                        }

                        cut += sum < 0 ? 1 : 0;
                        Agree(actual[index++], Math.Max(0, sum), type);
                    }
                }
            }
        }

        cut.ShouldBeInRange(1, actual.Length - 1);
    }

    [Fact]
    public void A_convolution_without_room_for_any_algorithm_says_so()
    {
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using CudnnHandle cudnn = OpenCudnn(context, stream);
        Should.Throw<CudaException>(() => new CudnnConvolution(cudnn, 1, 8, 4, 4, 8, CudaType.Float16, -1))
            .Message.ShouldContain("no algorithm works within");
    }

    [Theory]
    [InlineData(CudaType.Float32)]
    [InlineData(CudaType.Float16)]
    public void Pooling_takes_the_largest_of_four(CudaType type)
    {
        const int Images = 2, Channels = 8, Height = 6, Width = 4;
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using CudnnHandle cudnn = OpenCudnn(context, stream);
        using var pooling = new CudnnPooling(cudnn, Images, Channels, Height, Width, type);
        float[] x = Rounded(Images * Height * Width * Channels, 1, type);
        nint y = UploadAs(stream, new float[x.Length / 4], type);
        pooling.Run(UploadAs(stream, x, type), y);
        float[] expected = [.. from n in Enumerable.Range(0, Images)
            from row in Enumerable.Range(0, Height / 2)
            from column in Enumerable.Range(0, Width / 2)
            from c in Enumerable.Range(0, Channels)
            select Enumerable.Range(0, 4)
                .Max(p => x[(((((n * Height) + (2 * row) + (p / 2)) * Width) + (2 * column) + (p % 2)) * Channels) + c])];
        ReadAs(stream, y, expected.Length, type).ShouldBe(expected);
    }

    [Theory]
    [InlineData(CudaType.Float32)]
    [InlineData(CudaType.Float16)]
    public void An_Lstm_layer_runs_forward_and_backward_with_weights_where_it_says(CudaType type)
    {
        const int Batch = 3, Time = 5, Inputs = 8, Hidden = 16;
        using CudaContext context = Open();
        using var stream = new CudaStream(context);
        using CudnnHandle cudnn = OpenCudnn(context, stream);
        using var layer = new CudnnLstm(cudnn, Batch, Time, Inputs, Hidden, type);
        float[] x = Rounded(Batch * Time * Inputs, 1, type), dy = Rounded(Batch * Time * Hidden, 2, type);
        float[] wi = Rounded(4 * Hidden * Inputs, 3, type, 0.4f), wh = Rounded(4 * Hidden * Hidden, 4, type, 0.3f),
            bias = Rounded(4 * Hidden, 5, type);
        int size = type == CudaType.Float32 ? 4 : 2;
        float[] space = new float[layer.WeightSpaceBytes / size];
        var matrices = new (LstmWeights What, float[] Values,
            int Length)[] { (LstmWeights.Input, wi, Hidden * Inputs), (LstmWeights.Hidden, wh, Hidden * Hidden), (LstmWeights.Bias, bias,
            Hidden) };
        foreach ((LstmWeights what, float[] values, int length) in matrices)
        {
            for (int gate = 0; gate < 4; gate++)
            {
                values.AsSpan(gate * length, length).CopyTo(space.AsSpan((int)(layer.OffsetOf(gate, what) / size)));
            }
        }

        nint weights = UploadAs(stream, space, type), gradients = UploadAs(stream, new float[space.Length], type);
        nint deviceX = UploadAs(stream, x, type), deviceDy = UploadAs(stream, dy, type);
        nint y = UploadAs(stream, new float[dy.Length], type), dx = UploadAs(stream, new float[x.Length], type);
        nint workspace = context.TryAllocate(Math.Max(1, layer.WorkspaceBytes)),
            reserve = context.TryAllocate(Math.Max(1, layer.ReserveBytes));
        layer.Forward(deviceX, y, weights, workspace, reserve);
        layer.BackwardData(y, deviceDy, dx, weights, workspace, reserve);
        layer.BackwardWeights(deviceX, y, gradients, workspace, reserve);

        var reference = new RecurrentReference(Batch, Time, Inputs, Hidden, Reverse: false);
        Agree(ReadAs(stream, y, dy.Length, type), reference.Lstm(x.Widen(), wi.Widen(), wh.Widen(), bias.Widen()), type);
        RecurrentGradients expected = reference.LstmGradients(x.Widen(), wi.Widen(), wh.Widen(), bias.Widen(), dy.Widen());
        Agree(ReadAs(stream, dx, x.Length, type), expected.X, type);
        float[] sums = ReadAs(stream, gradients, space.Length, type);
        foreach ((LstmWeights what, float[] values, int length) in matrices)
        {
            double[] wanted = what switch { LstmWeights.Input => expected.InputWeights, LstmWeights.Hidden => expected.HiddenWeights, _ => expected.Bias };
            for (int gate = 0; gate < 4; gate++)
            {
                Agree(sums.AsSpan((int)(layer.OffsetOf(gate, what) / size), length).ToArray(),
                    wanted[(gate * length)..((gate + 1) * length)], type);
            }
        }

        // The gradients of weights are added to what is there. The backward pass uses up what the forward pass has left.
        layer.Forward(deviceX, y, weights, workspace, reserve);
        layer.BackwardData(y, deviceDy, dx, weights, workspace, reserve);
        layer.BackwardWeights(deviceX, y, gradients, workspace, reserve);
        int bias0 = (int)(layer.OffsetOf(0, LstmWeights.Bias) / size);
        Agree(ReadAs(stream, gradients, space.Length, type)[bias0..(bias0 + Hidden)],
            [.. expected.Bias.Take(Hidden).Select(value => 2 * value)], type);
    }

    private static CudnnHandle OpenCudnn(CudaContext context, CudaStream stream)
    {
        Assert.SkipUnless(Interop.Cuda.HasCudnn, Interop.Cuda.CudnnReason);
        return new CudnnHandle(context, stream);
    }

    private static float[] Rounded(int count, int seed, CudaType type, float range = 1) =>
        [.. Numbers.Random(count, seed, range).Select(value => type == CudaType.Float32 ? value : (float)(Half)value)];

    private static nint UploadAs(CudaStream stream, float[] values, CudaType type) =>
        type == CudaType.Float32 ? Upload(stream, values) : Upload(stream, Array.ConvertAll(values, value => (Half)value));

    private static float[] ReadAs(CudaStream stream, nint device, int count, CudaType type) =>
        type == CudaType.Float32
            ? Read<float>(stream, device, count)
            : Array.ConvertAll(Read<Half>(stream, device, count), value => (float)value);

    private static void Agree(float actual, double expected, CudaType type) =>
        Math.Abs(actual - expected)
            .ShouldBeLessThan((type == CudaType.Float32 ? SingleTolerance : HalfTolerance) * Math.Max(1, Math.Abs(expected)));

    /// <summary>By norm, with half a digit more for half precision: intermediate results are rounded too.</summary>
    private static void Agree(float[] actual, double[] expected, CudaType type)
    {
        actual.Length.ShouldBe(expected.Length);
        double error = Math.Sqrt(actual.Zip(expected, (a, b) => (a - b) * (a - b)).Sum()),
            norm = Math.Sqrt(expected.Sum(value => value * value));
        error.ShouldBeLessThan((type == CudaType.Float32 ? 1e-5 : 5e-3) * norm);
    }
}
