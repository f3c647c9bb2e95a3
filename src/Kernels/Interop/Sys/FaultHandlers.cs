using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>
/// Keeps the process's handlers of fault signals while a native library is loaded or initialised, and puts them back on disposal. The
/// runtime makes NullReferenceException and the like out of these signals; UCX, below many an MPI, takes them for itself to print a
/// backtrace, and the process dies.
/// </summary>
internal sealed unsafe partial class FaultHandlers : IDisposable
{
    /// <summary>More than struct sigaction takes on any Linux; what it holds is of no interest here.</summary>
    private const int ActionBytes = 256;

    /// <summary>SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE and SIGSEGV, as Linux numbers them.</summary>
    private static readonly int[] Signals = [4, 5, 6, 7, 8, 11];

    private readonly byte[] _saved = new byte[Signals.Length * ActionBytes];
    private readonly bool[] _isSaved = new bool[Signals.Length];

    public FaultHandlers()
    {
        fixed (byte* saved = _saved)
        {
            for (int i = 0; i < Signals.Length && OperatingSystem.IsLinux(); i++)
            {
                _isSaved[i] = sigaction(Signals[i], null, saved + (i * ActionBytes)) == 0;
            }
        }
    }

    public void Dispose()
    {
        fixed (byte* saved = _saved)
        {
            for (int i = 0; i < Signals.Length; i++)
            {
                if (_isSaved[i])
                {
                    _ = sigaction(Signals[i], saved + (i * ActionBytes), null);
                }
            }
        }
    }

    // By the C library's own name: UCX replaces the function for those who ask the process for it.
    [LibraryImport("libc")]
    private static partial int sigaction(int signal, void* action, void* old);
}
