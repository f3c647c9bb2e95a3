using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>How a library is found. The libraries here are stubs made by the C compiler.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class LibraryLookupTests : IDisposable
{
    private const string Variable = "CUDATRAINER_LIBSTUB";

    private static readonly string[] Variables =
        [Variable, CudaLibrary.SimulatorVariable, "CUDA_PATH", "CUDA_HOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PATH"];

    private readonly string _folder = Directory.CreateTempSubdirectory("cudatrainer-lookup").FullName;
    private readonly Dictionary<string, string?> _environment = Variables.ToDictionary(name => name, Environment.GetEnvironmentVariable);

    public LibraryLookupTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "stubs are made by the C compiler of a Unix system");

        // The process's own libraries must have been looked up before the variables change.
        _ = Interop.Cuda.IsAvailable;
        foreach (string name in Variables.Except(["PATH"]))
        {
            Environment.SetEnvironmentVariable(name, null);
        }
    }

    [Fact]
    public void A_library_that_is_nowhere_is_reported_with_every_place()
    {
        Environment.SetEnvironmentVariable("CUDA_PATH", Path.Combine(_folder, "toolkit"));
        CudaLibrary library = Find(["libcudatrainer_stub.so.2", "libcudatrainer_stub.so.1"]);
        library.Found.ShouldBeFalse();
        library.WasRefused.ShouldBeFalse();
        library.Trace.Take(2).Select(attempt => attempt.Path).ShouldBe(["libcudatrainer_stub.so.2", "libcudatrainer_stub.so.1"]);
        library.Trace.Take(2).ShouldAllBe(attempt => attempt.Reason.Contains("No such file"));
        library.Trace.ShouldContain(new LookupAttempt(Path.Combine(_folder, "toolkit", "lib64"), "no such folder", IsFolder: true));
        library.Trace.ShouldContain(
            attempt => attempt.Path == AppContext.BaseDirectory
            && attempt.Reason == "has no libcudatrainer_stub.so.2, libcudatrainer_stub.so.1");
        library.Reason.ShouldStartWith("the stub was not found (tried libcudatrainer_stub.so.2: ");
        library.Trace.ShouldAllBe(attempt => library.Reason.Contains(attempt.Path));
    }

    [Fact]
    public void The_variable_names_the_only_file_that_is_tried()
    {
        string file = Build("chosen.so", "int stubVersion(void) { return 1203; } int stubWork(int x) { return x; }");
        Environment.SetEnvironmentVariable(Variable, file);
        CudaLibrary library = Find(["libcudatrainer_stub.so.1"]);
        (library.Found, library.Path, library.Version, library.Reason, library.IsSimulated)
            .ShouldBe((true, file, "1203", string.Empty, false));
        library.Trace.ShouldBe([new LookupAttempt(file, string.Empty)]);

        Environment.SetEnvironmentVariable(Variable, Path.Combine(_folder, "none.so"));
        CudaLibrary missing = Find(["libcudatrainer_stub.so.1"]);
        missing.Found.ShouldBeFalse();
        missing.Trace.ShouldHaveSingleItem().Path.ShouldEndWith("none.so");
    }

    [Theory]
    [InlineData("CUDA_PATH", "lib64")]
    [InlineData("CUDA_HOME", "lib64")]
    [InlineData("VIRTUAL_ENV", "lib/python3.12/site-packages/nvidia/stub/lib")]
    [InlineData("VIRTUAL_ENV", "lib/python3.9/site-packages/nvidia/cu13/lib")]
    [InlineData("CONDA_PREFIX", "lib")]
    public void Folders_of_toolkit_pip_and_conda_are_searched(string variable, string place)
    {
        string file = Build($"{place}/libcudatrainer_stub.so.1", "int stubVersion(void) { return 1; } int stubWork(int x) { return x; }");
        Environment.SetEnvironmentVariable(variable, _folder);
        Find(["libcudatrainer_stub.so.2", "libcudatrainer_stub.so.1"]).Path.ShouldBe(file);
    }

    [Theory]
    [InlineData("site-packages", false)]
    [InlineData("dist-packages", false)]
    [InlineData("site-packages", true)]
    public void What_pip_installed_beside_the_python3_on_the_path_is_found(string packages, bool throughLink)
    {
        string file = Build($"python/lib/python3.11/{packages}/nvidia/stub/lib/libcudatrainer_stub.so.1",
            "int stubVersion(void) { return 1; } int stubWork(int x) { return x; }");
        string program = Path.Combine(_folder, "python", "bin", "python3"), link = Path.Combine(_folder, "links", "python3");
        Directory.CreateDirectory(Path.GetDirectoryName(program)!);
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        File.WriteAllText(program, string.Empty);
        File.CreateSymbolicLink(link, program);
        string folder = Path.GetDirectoryName(throughLink ? link : program)!;
        Environment.SetEnvironmentVariable("PATH", $"{folder}{Path.PathSeparator}{_environment["PATH"]}");
        Find(["libcudatrainer_stub.so.2", "libcudatrainer_stub.so.1"]).Path.ShouldBe(file);
    }

    [Fact]
    public void A_library_without_a_function_is_refused_with_its_version_and_the_next_is_tried()
    {
        string old = Build("toolkit/lib64/libcudatrainer_stub.so.2", "int stubVersion(void) { return 1102; }");
        string good = Build("toolkit/lib64/libcudatrainer_stub.so.1",
            "int stubVersion(void) { return 1203; } int stubWork(int x) { return x; }");
        Environment.SetEnvironmentVariable("CUDA_PATH", Path.Combine(_folder, "toolkit"));
        CudaLibrary library = Find(["libcudatrainer_stub.so.2", "libcudatrainer_stub.so.1"]);
        library.Path.ShouldBe(good);
        library.Trace.ShouldContain(new LookupAttempt(old, "version 1102 has no stubWork: too old, or another library"));

        File.Delete(good);
        CudaLibrary none = Find(["libcudatrainer_stub.so.2", "libcudatrainer_stub.so.1"]);
        (none.Found, none.WasRefused).ShouldBe((false, true));
        none.Reason.ShouldContain("stubWork");
    }

    [Fact]
    public void A_file_that_is_no_library_is_reported_in_the_loaders_words()
    {
        string file = Path.Combine(_folder, "text.so");
        File.WriteAllText(file, "not a library");
        Environment.SetEnvironmentVariable(Variable, file);
        Find(["libcudatrainer_stub.so.1"]).Trace.ShouldHaveSingleItem().Reason.ShouldContain("too short");
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(11, false)]
    [InlineData(12, true)]
    [InlineData(13, true)]
    public void A_library_for_a_newer_CUDA_than_the_drivers_is_refused(int driver, bool taken)
    {
        Environment.SetEnvironmentVariable(Variable,
            Build("libcudatrainer_stub.so.12", "int stubVersion(void) { return 12; } int stubWork(int x) { return x; }"));
        CudaLibrary library = Find(["libcudatrainer_stub.so.12"], driver, made: 12);
        library.Found.ShouldBe(taken);
        if (!taken)
        {
            library.Reason.ShouldContain(
                "it is of CUDA 12, and the driver supports only CUDA 11: install a newer driver, or the stub for CUDA 11");
        }
    }

    [Fact]
    public void The_simulator_is_taken_from_its_folder_only_and_nothing_else_is_taken_from_there()
    {
        const string Simulated =
            "const char *cudasimVersion(void) { return \"SIMULATED 0\"; } int stubVersion(void) { return 5; } int stubWork(int x) { " +
                "return x; }";
        string file = Build("sim/libcudatrainer_stub.so.1", Simulated);
        Environment.SetEnvironmentVariable(Variable, file);
        CudaLibrary refused = Find(["libcudatrainer_stub.so.1"]);
        refused.Found.ShouldBeFalse();
        refused.Reason.ShouldContain("it is the simulator, which only CUDATRAINER_CUDA_SIMULATOR may choose");

        Environment.SetEnvironmentVariable(CudaLibrary.SimulatorVariable, Path.Combine(_folder, "sim"));
        CudaLibrary taken = Find(["libcudatrainer_stub.so.1"]);
        (taken.Found, taken.IsSimulated, taken.Version).ShouldBe((true, true, "SIMULATED 5"));

        Environment.SetEnvironmentVariable(CudaLibrary.SimulatorVariable, Path.Combine(_folder, "real"));
        Build("real/libcudatrainer_stub.so.1", "int stubVersion(void) { return 1; } int stubWork(int x) { return x; }");
        CudaLibrary real = Find(["libcudatrainer_stub.so.1"]);
        (real.Found, real.IsSimulated).ShouldBe((false, false));
        real.Reason.ShouldContain("this is not the simulator");
        real.Trace.ShouldHaveSingleItem();
    }

    [Fact]
    public void Every_function_that_is_bound_is_looked_for()
    {
        string[] files = ["libcudatrainer_stub.so.1"];
        Environment.SetEnvironmentVariable("CUDATRAINER_LIBCUDA",
            Build("empty.so", "int cuDriverGetVersion(int *version) { *version = 11020; return 0; }"));
        try
        {
            CudaLibrary driver = CudaLibrary.Find(LibraryDescriptions.Driver with { Files = files }, cudaMajor: 0);
            driver.Found.ShouldBeFalse();
            int bound = typeof(DriverApi).GetMethods().Count(method => method.Name.StartsWith("cu", StringComparison.Ordinal));
            bound.ShouldBeGreaterThan(50);
            driver.Reason.ShouldContain($"version 11.2 has no cuInit, cuDeviceGetCount, cuDeviceGet and {bound - 4} more");
        }
        finally
        {
            Environment.SetEnvironmentVariable("CUDATRAINER_LIBCUDA", null);
        }
    }

    [Theory]
    [InlineData("cuDNN", 8907, "8.9.7")]
    [InlineData("cuDNN", 90100, "9.1.0")]
    [InlineData("cuDNN", 91304, "9.13.4")]
    public void Version_numbers_of_both_kinds_are_understood(string name, int number, string version)
    {
        Environment.SetEnvironmentVariable(Variable,
            Build("version.so", $"unsigned long cudnnGetVersion(void) {{ return {number}; }} unsigned long cudnnGetCudartVersion(void) {{ return 12040; }}"));
        LibraryDescription cudnn = LibraryDescriptions.Cudnn with { Variable = Variable, Api = typeof(VersionOnly) };
        CudaLibrary library = CudaLibrary.Find(cudnn, cudaMajor: 12);
        (library.Name, library.Version).ShouldBe((name, version));
        CudaLibrary.Find(cudnn, cudaMajor: 11).Reason.ShouldContain("it is of CUDA 12");
    }

    [Theory]
    [InlineData(2708, "2.7.8")]
    [InlineData(21304, "2.13.4")]
    [InlineData(22105, "2.21.5")]
    public void Both_ways_in_which_NCCL_counts_are_understood(int number, string version)
    {
        Environment.SetEnvironmentVariable(Variable,
            Build("nccl.so", $"int ncclGetVersion(int *version) {{ *version = {number}; return 0; }}"));
        CudaLibrary library = CudaLibrary.Find(LibraryDescriptions.Nccl with { Variable = Variable }, cudaMajor: 12);
        library.Found.ShouldBeFalse();
        library.Reason.ShouldContain($"version {version} has no ncclGetUniqueId, ncclCommInitRank, ncclCommDestroy and ");
    }

    [Fact]
    public void NCCL_is_looked_for_by_its_variable_and_in_every_folder()
    {
        string[] files = ["libcudatrainer_stub.so.2"];
        CudaLibrary.Find(LibraryDescriptions.Nccl with { Files = files }, cudaMajor: 12)
            .Trace.ShouldContain(attempt => attempt.Path == AppContext.BaseDirectory && attempt.IsFolder);
        string chosen = Path.Combine(_folder, "libnccl.so.2");
        Environment.SetEnvironmentVariable("CUDATRAINER_LIBNCCL", chosen);
        try
        {
            CudaLibrary.Find(LibraryDescriptions.Nccl, cudaMajor: 12).Reason.ShouldStartWith($"NCCL was not found (tried {chosen}: ");
        }
        finally
        {
            Environment.SetEnvironmentVariable("CUDATRAINER_LIBNCCL", null);
        }
    }

    public void Dispose()
    {
        foreach ((string name, string? value) in _environment)
        {
            Environment.SetEnvironmentVariable(name, value);
        }

        Directory.Delete(_folder, recursive: true);
    }

    private static CudaLibrary Find(string[] files, int driver = 0, int made = 0) => CudaLibrary.Find(
        new LibraryDescription(
            "the stub", Variable, files, typeof(StubApi),
            (handle, _) => System.Runtime.InteropServices.NativeLibrary.TryGetExport(handle, "stubVersion", out nint version)
                ? $"{((delegate* unmanaged<int>)version)()}"
                : string.Empty,
            (_, _) => made),
        driver);

    private string Build(string name, string source)
    {
        string file = Path.Combine(_folder, name), code = Path.Combine(_folder, "stub.c");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(code, source);
        ChildProcess.Run("cc", ["-shared", "-fPIC", "-o", file, code]).ExitCode.ShouldBe(0);
        return file;
    }

    private static class StubApi
    {
        public static int stubVersion() => throw new NotSupportedException();

        public static int stubWork() => throw new NotSupportedException();
    }

    private static class VersionOnly
    {
        public static int cudnnGetVersion() => throw new NotSupportedException();
    }
}
