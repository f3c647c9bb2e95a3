// Placeholder until the real bindings are merged: only what the launchers need in order to compile.
namespace CudaTrainer.Kernels.Interop;

public static class Cuda
{
    public static bool IsAvailable => false;

    public static string UnavailableReason => "placeholder";

    public static bool IsSimulated => false;
}

public sealed class CudaContext(int ordinal) : IDisposable
{
    public int Ordinal => ordinal;

    public nint TryAllocate(long bytes) => throw new NotImplementedException();

    public void Free(nint address) => throw new NotImplementedException();

    public void Dispose()
    {
    }
}

public sealed class CudaStream(CudaContext context) : IDisposable
{
    public CudaContext Context => context;

    public void CopyToDevice(nint host, nint device, long bytes) => throw new NotImplementedException();

    public void CopyToHost(nint device, nint host, long bytes) => throw new NotImplementedException();

    public void Synchronize() => throw new NotImplementedException();

    public void Dispose()
    {
    }

    public void CopyOnDevice(nint source, nint destination, long bytes) => throw new NotImplementedException();
}

public sealed class CudaException : Exception;

public sealed class KernelSourceException : Exception;

public sealed class CudaModule : IDisposable
{
    public CudaKernel GetKernel(string name) => throw new NotImplementedException(name);

    public void Dispose()
    {
    }
}

public sealed class CudaKernel
{
    public int MaxThreads => 1024;

    public void AllowShared(int bytes) => throw new NotImplementedException();

    public void Launch(CudaStream stream, Grid blocks, Grid threads, int sharedBytes, in KernelArguments arguments) => throw new NotImplementedException();
}

public readonly record struct Grid(int X, int Y = 1, int Z = 1);

public unsafe ref struct KernelArguments
{
    public void Add<T>(T value)
        where T : unmanaged
    {
    }
}

public sealed class KernelCompiler
{
    public CudaModule Load(CudaContext context, string fileName, string source, IReadOnlyDictionary<string, string> headers) => throw new NotImplementedException();
}

public enum CudaType
{
    Float32,
    Float16,
}
