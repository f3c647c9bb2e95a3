using CudaTrainer.Kernels.Cuda;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

[Collection(CudaCollection.Name)]
public sealed class CudaKernelLibraryTests(CudaFixture fixture)
{
    [Fact]
    public void Every_source_is_embedded_and_includes_known_headers_only()
    {
        KernelLibrary.Files.ShouldContain("batch_norm.cu");
        KernelLibrary.Headers.Keys.ShouldContain("common.cuh");
        foreach (string text in KernelLibrary.Files.Select(KernelLibrary.Source).Concat(KernelLibrary.Headers.Values))
        {
            foreach (string line in text.Split('\n').Where(line => line.StartsWith("#include", StringComparison.Ordinal)))
            {
                KernelLibrary.Headers.Keys.ShouldContain(line.Split('"')[1]);
            }
        }
    }

    [Fact]
    public void An_unknown_source_is_named_with_those_there_are()
    {
        string message = Should.Throw<ArgumentException>(() => KernelLibrary.Source("bath_norm.cu")).Message;
        message.ShouldContain("bath_norm.cu");
        message.ShouldContain("batch_norm.cu");
    }

    [Fact]
    public void A_file_from_disk_is_compiled_once_and_can_use_the_headers()
    {
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():n}.cu");
        File.WriteAllText(path, """
            #include "common.cuh"
            extern "C" __global__ void __launch_bounds__(64) triple(i64 count, const half *x, float *y)
            {
                for (i64 i = first_item(); i < count; i += item_stride())
                {
                    y[i] = 3.0f * to_float(x[i]);
                }
            }
            """);
        try
        {
            const int Length = 1_000;
            using var library = new KernelLibrary(fixture.Context);
            CudaModule module = library.LoadFile(path);
            using var arrays = new DeviceArrays(fixture, CudaType.Float16);
            float[] x = arrays.Rounded(Numbers.Random(Length, 1));
            DeviceArray y = arrays.OutputFloats(Length);
            var arguments = new KernelArguments();
            arguments.Add((long)Length);
            arguments.Add(arrays.Input(x).Address);
            arguments.Add(y.Address);
            module.GetKernel("triple").Launch(fixture.Stream, new Grid(3), new Grid(64), 0, arguments);
            y.Read().ShouldBeTheSameBitsAs([.. x.Select(value => 3 * value)], "y");
            library.LoadFile(path).ShouldBeSameAs(module);
            arrays.Verify();
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_source_in_the_folder_of_the_variable_goes_before_the_embedded_one()
    {
        const int Rows = 3, Columns = 5;
        float[] x = Numbers.Random(Rows * Columns, 1), bias = Numbers.Random(Columns, 2);
        string embedded = KernelLibrary.Source("bias_relu.cu"), header = KernelLibrary.Headers["common.cuh"];
        string edited = embedded.Replace("values[lane] += offsets[lane]", "values[lane] -= offsets[lane]", StringComparison.Ordinal);
        string editedHeader = header.Replace("return x <= 0.0f ? 0.0f : x;", "return x <= 0.0f ? 7.0f : x;", StringComparison.Ordinal);
        edited.ShouldNotBe(embedded);
        editedHeader.ShouldNotBe(header);

        float[] Expected(int sign, float floor) => [.. x.Select((value, i) => value + (sign * bias[i % Columns])).Select(z => z <= 0 ? floor : z)];
        Result(("column_sums.cu", "never compiled here")).ShouldBeTheSameBitsAs(Expected(1, 0), "embedded");
        Result(("bias_relu.cu", edited)).ShouldBeTheSameBitsAs(Expected(-1, 0), "from the folder");
        Result(("common.cuh", editedHeader)).ShouldBeTheSameBitsAs(Expected(1, 7), "embedded, with a header from the folder");

        float[] Result((string Name, string Text) file) => WithSources(file, library =>
        {
            using var arrays = new DeviceArrays(fixture, CudaType.Float32);
            DeviceArray y = arrays.Updated(x);
            new BiasRelu(library).Run(fixture.Stream, Rows, Columns, y, arrays.Floats(bias), relu: true, CudaType.Float32);
            return y.Read();
        });
    }

    [Fact]
    public void A_broken_source_in_the_folder_is_named_with_its_path_and_the_log_of_the_compiler()
    {
        WithSources(("bias_relu.cu", "#include \"common.cuh\"\n__global__ void broken(int *x) { x[0] = not_declared; }\n"), library =>
        {
            var error = Should.Throw<KernelSourceException>(() => library.Get("bias_relu.cu", "bias_relu_f32"));
            error.File.ShouldBe(Path.Combine(KernelLibrary.Folder!, "bias_relu.cu"));
            error.Message.ShouldContain(error.File);
            error.Log.ShouldContain("bias_relu.cu(2)");
            error.Log.ShouldContain("not_declared");
            return 0;
        });
    }

    [Fact]
    public void A_folder_that_is_not_there_is_an_error()
    {
        string folder = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():n}");
        WithFolder(folder, () => Should.Throw<DirectoryNotFoundException>(() => new KernelLibrary(fixture.Context)).Message).ShouldBe($"CUDATRAINER_KERNELS={folder}: there is no such folder.");
    }

    [Fact]
    public void Launches_allocate_nothing_once_kernels_are_loaded()
    {
        const int Batch = 4, Time = 3, Hidden = 16, Rows = Batch * Time, Count = Rows * Hidden;
        using var arrays = new DeviceArrays(fixture, CudaType.Float16);
        DeviceArray x = arrays.Updated(Numbers.Random(Count, 1)), y = arrays.Output(Count), gates = arrays.Updated(Numbers.Random(4 * Count, 2)), w = arrays.Input(Numbers.Random(4 * Hidden * Hidden, 3));
        DeviceArray values = arrays.UpdatedFloats(Numbers.Random(4 * Hidden, 4)), mean = arrays.OutputFloats(Hidden), inverse = arrays.OutputFloats(Hidden), cells = arrays.OutputFloats(Count);
        DeviceArray running = arrays.UpdatedFloats(new float[Hidden]), spread = arrays.UpdatedFloats(new float[Hidden]), first = arrays.UpdatedFloats(new float[64]), second = arrays.UpdatedFloats(new float[64]);
        DeviceArray slopes = arrays.UpdatedFloats(Numbers.Random(64, 5)), state = arrays.UpdatedRaw(new StepState { LossScale = 2 }), segments = arrays.Raw(0L, 64), norms = arrays.OutputFloats(1), workspace = arrays.Workspace(4_096);
        var lstm = new Cuda.Lstm(fixture.Library);
        var norm = new Cuda.BatchNorm(fixture.Library);
        var gradients = new Cuda.Gradients(fixture.Library);
        var control = new Cuda.StepControl(fixture.Library);
        var dropout = new CudaDropout(0.5f, 1, 2, state);
        void Step()
        {
            control.BeginStep(fixture.Stream, state, values);
            lstm.Forward(fixture.Stream, Batch, Time, Hidden, gates, values, w, y, cells, reverse: false, CudaType.Float16);
            norm.ForwardTraining(fixture.Stream, Rows, Hidden, x, values, values, running, spread, y, mean, inverse, relu: true, dropout, 0.99f, 1e-3f, CudaType.Float16);
            gradients.UnscaleAndCheckFinite(fixture.Stream, 1, 64, slopes, segments, norms, state, workspace);
            gradients.AdamStep(fixture.Stream, 1, 64, values, slopes, first, second, segments, norms, 0, state, workspace, new AdamOptions());
            control.UpdateLossScale(fixture.Stream, state, enabled: true);
        }

        Step();
        Step();
        fixture.Stream.Synchronize();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
        {
            Step();
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBe(0);
        fixture.Stream.Synchronize();
        arrays.Verify();
    }

    /// <summary>The sums of every kernel that reduces, launched repeatedly: nothing may depend on the order in which blocks and warps happen to run.</summary>
    [Theory]
    [InlineData(CudaType.Float32)]
    [InlineData(CudaType.Float16)]
    public void Repeated_launches_have_the_same_bits(CudaType type)
    {
        const int Rows = 320, Channels = 72, Count = Rows * Channels;
        float[][]? first = null;
        for (int repetition = 0; repetition < 3; repetition++)
        {
            using var arrays = new DeviceArrays(fixture, type);
            DeviceArray x = arrays.Input(Numbers.Random(Count, 1)), dy = arrays.Input(Numbers.Random(Count, 2)), pooledGradient = arrays.Input(Numbers.Random(16 * Channels, 3));
            DeviceArray gamma = arrays.Floats(Numbers.Random(Channels, 4)), sums = arrays.UpdatedFloats(new float[Channels]), y = arrays.Output(Count), dx = arrays.Output(Count);
            DeviceArray mean = arrays.OutputFloats(Channels), inverse = arrays.OutputFloats(Channels), dScale = arrays.UpdatedFloats(new float[Channels]), dShift = arrays.UpdatedFloats(new float[Channels]);
            DeviceArray pooled = arrays.Output(16 * Channels), attention = arrays.OutputFloats(16 * 20), dPooled = arrays.Output(Count), dWeight = arrays.UpdatedFloats(new float[Channels]);
            DeviceArray gradients = arrays.UpdatedFloats(Numbers.Random(Count, 5)), norms = arrays.OutputFloats(2);
            DeviceArray state = arrays.UpdatedRaw(new StepState { LossScale = 3 });
            var dropout = new CudaDropout(0.5f, 1, 2, state);

            new Cuda.ColumnSums(fixture.Library).Run(fixture.Stream, Rows, Channels, x, sums, type);
            var norm = new Cuda.BatchNorm(fixture.Library);
            norm.ForwardTraining(
                fixture.Stream, Rows, Channels, x, gamma, gamma, arrays.UpdatedFloats(new float[Channels]), arrays.UpdatedFloats(new float[Channels]), y, mean, inverse, relu: true, dropout,
                0.99f, 1e-3f, type);
            norm.Backward(fixture.Stream, Rows, Channels, dy, x, gamma, gamma, mean, inverse, dx, dScale, dShift, relu: true, dropout, type);
            DeviceArray moments = arrays.OutputFloats((2 * Channels) + 1), slopes = arrays.OutputFloats((2 * Channels) + 1);
            var parted = new Cuda.SyncBatchNorm(fixture.Library);
            parted.Moments(fixture.Stream, Rows, Channels, x, moments, type);
            parted.GradientSums(fixture.Stream, Rows, Channels, dy, x, gamma, gamma, mean, inverse, slopes, dScale, dShift, relu: true, dropout, type);
            var pool = new Cuda.AttentionPool(fixture.Library);
            pool.Forward(fixture.Stream, 16, 20, Channels, x, gamma, pooled, attention, type);
            pool.Backward(
                fixture.Stream, 16, 20, Channels, pooledGradient, x, gamma, attention, dPooled, dWeight, arrays.Workspace(Cuda.AttentionPool.WorkspaceBytes(16, 20, Channels)), type);
            new Cuda.Gradients(fixture.Library).UnscaleAndCheckFinite(
                fixture.Stream, 2, Count, gradients, arrays.Raw(0L, 5_001, Count), norms, state, arrays.Workspace(Cuda.Gradients.UnscaleWorkspaceBytes(2, Count)));
            float[][] results = [moments.Read(), slopes.Read(), sums.Read(), y.Read(), mean.Read(), inverse.Read(), dx.Read(), dScale.Read(), dShift.Read(), pooled.Read(), attention.Read(), dPooled.Read(), dWeight.Read(), norms.Read()];
            first ??= results;
            for (int i = 0; i < results.Length; i++)
            {
                results[i].ShouldBeTheSameBitsAs(first[i], $"result {i}");
            }

            arrays.Verify();
        }
    }

    /// <summary>Runs with a library whose folder of sources has one file.</summary>
    private T WithSources<T>((string Name, string Text) file, Func<KernelLibrary, T> run)
    {
        CudaContext context = fixture.Context;
        string folder = Directory.CreateTempSubdirectory().FullName;
        File.WriteAllText(Path.Combine(folder, file.Name), file.Text);
        try
        {
            return WithFolder(folder, () =>
            {
                using var library = new KernelLibrary(context);
                return run(library);
            });
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static T WithFolder<T>(string folder, Func<T> run)
    {
        string? before = Environment.GetEnvironmentVariable(KernelLibrary.FolderVariable);
        Environment.SetEnvironmentVariable(KernelLibrary.FolderVariable, folder);
        try
        {
            return run();
        }
        finally
        {
            Environment.SetEnvironmentVariable(KernelLibrary.FolderVariable, before);
        }
    }
}
