using System.Diagnostics;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// Ranks in processes of their own: this program once more, told by its environment to run one of the explicit tests below.
/// </summary>
public sealed class NcclProcessTests : NcclTest, IDisposable
{
    private const string FolderVariable = "CUDATRAINER_TEST_FOLDER";
    private const int Count = 200_001;

    private readonly string _folder = Directory.CreateTempSubdirectory("cudatrainer-nccl").FullName;

    [Fact]
    public void A_process_that_dies_in_a_collective_is_noticed_by_the_other()
    {
        RequireDevices(2);
        RequireSimulator();
        byte[] id = NcclCommunicator.NewUniqueId();
        File.WriteAllBytes(Path.Combine(_folder, "id"), id);
        using Process other = Start(nameof(Second_rank), []);
        try
        {
            using var context = new CudaContext(0);
            using var stream = new CudaStream(context);
            using var communicator = new NcclCommunicator(context, id, 0, 2);
            float[] expected = [.. Inputs(Count, 0).Zip(Inputs(Count, 1), (a, b) => a + b)];
            nint values = Upload(stream, Inputs(Count, 0));
            communicator.AllReduceSum(stream, values, values, Count, CudaType.Float32);
            Read<float>(stream, values, Count).SequenceEqual(expected).ShouldBeTrue();
            communicator.ThrowIfFailed();
            SpinWait.SpinUntil(() => File.Exists(Path.Combine(_folder, "result.ready")), Patience)
                .ShouldBeTrue(other.HasExited ? other.StandardOutput.ReadToEnd() : "the other rank has no result");
            File.ReadAllBytes(Path.Combine(_folder, "result"))
                .SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes(expected.AsSpan())).ShouldBeTrue();

            // The other one does not come to this one: it waits to be killed.
            using var passed = new CudaEvent(context);
            communicator.AllReduceSum(stream, values, values, Count, CudaType.Float32);
            stream.Record(passed);
            Thread.Sleep(200);
            passed.HasPassed.ShouldBeFalse();
            communicator.ThrowIfFailed();
            other.HasExited.ShouldBeFalse();
            other.Kill();
            stream.Synchronize();

            // Not that it waited too long: that would be another error.
            NcclException failure = Should.Throw<NcclException>(communicator.ThrowIfFailed);
            (failure.Rank, failure.Code).ShouldBe((0, 6));
            failure.Message.ShouldContain("rank 1 is gone");
        }
        finally
        {
            other.Kill();
            other.WaitForExit();
        }

        Directory.GetFiles("/dev/shm", "cudasim-nccl-*")
            .ShouldNotContain(file => System.Text.Encoding.ASCII.GetString(id)
            .StartsWith($"/{Path.GetFileName(file)}", StringComparison.Ordinal));
    }

    [Fact]
    public void Without_the_library_there_is_a_reason_and_the_rest_works()
    {
        RequireDevices(1);
        RequireSimulator();
        string simulator = Path.Combine(_folder, "simulator");
        Directory.CreateDirectory(simulator);
        foreach (string file in Directory.GetFiles(Environment.GetEnvironmentVariable(CudaLibrary.SimulatorVariable)!, "lib*")
            .Where(file => !file.Contains("libnccl")))
        {
            File.Copy(file, Path.Combine(simulator, Path.GetFileName(file)));
        }

        using Process process = Start(nameof(Process_without_the_library), new() { [CudaLibrary.SimulatorVariable] = simulator });
        CommandOutcome outcome = ChildProcess.Finish(process);
        outcome.ExitCode.ShouldBe(0, outcome.Output + outcome.Error);
        string reason = File.ReadAllText(Path.Combine(_folder, "reason"));
        reason.ShouldStartWith($"NCCL was not found (tried {Path.Combine(simulator, "libnccl.so.2")}: ");
    }

    /// <summary>Joins as rank 1, sums once, and waits until it is killed or its parent has ended.</summary>
    [Fact(Explicit = true)]
    public void Second_rank()
    {
        string folder = Environment.GetEnvironmentVariable(FolderVariable)!;
        using var context = new CudaContext(1);
        using var stream = new CudaStream(context);
        using var communicator = new NcclCommunicator(context, File.ReadAllBytes(Path.Combine(folder, "id")), 1, 2);
        nint values = Upload(stream, Inputs(Count, 1));
        communicator.AllReduceSum(stream, values, values, Count, CudaType.Float32);
        File.WriteAllBytes(Path.Combine(folder, "result"),
            System.Runtime.InteropServices.MemoryMarshal.AsBytes(Read<float>(stream, values, Count).AsSpan()).ToArray());
        File.WriteAllText(Path.Combine(folder, "result.ready"), string.Empty);
        Console.OpenStandardInput().ReadByte();
    }

    [Fact(Explicit = true)]
    public void Process_without_the_library()
    {
        Interop.Cuda.IsAvailable.ShouldBeTrue();
        Interop.Cuda.HasNccl.ShouldBeFalse();
        Should.Throw<InvalidOperationException>(NcclCommunicator.NewUniqueId)
            .Message.ShouldBe($"NCCL is not available: {Interop.Cuda.NcclReason}");
        using var context = new CudaContext(0);
        Should.Throw<InvalidOperationException>(() => new NcclCommunicator(context, new byte[128], 0, 1));
        File.WriteAllText(Path.Combine(Environment.GetEnvironmentVariable(FolderVariable)!, "reason"), Interop.Cuda.NcclReason);
    }

    void IDisposable.Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        Dispose();
    }

    private Process Start(string test, Dictionary<string, string> environment) =>
        ChildTest.Start(typeof(NcclProcessTests), test, new Dictionary<string, string>(environment) { [FolderVariable] = _folder });
}
