using System.Numerics;
using System.Runtime.InteropServices;
using SharpFuzz.Common;

namespace CudaTrainer.Fuzzer;

/// <summary>
/// Which branches an input takes, and about how often, by the counters that SharpFuzz puts into the assemblies. Without these (in tests)
/// nothing is ever counted.
/// </summary>
internal sealed unsafe class CoverageMap : IDisposable
{
    /// <summary>SharpFuzz numbers branches below this.</summary>
    private const int Bytes = 1 << 16;

    private readonly byte* _counts = (byte*)NativeMemory.AllocZeroed(Bytes);
    private readonly byte[] _seen = new byte[Bytes];

    /// <summary>Must be made before any code of an instrumented assembly runs.</summary>
    public CoverageMap() => Trace.SharedMem = _counts;

    /// <summary>Branches seen so far.</summary>
    public int Count { get; private set; }

    public void Begin()
    {
        new Span<byte>(_counts, Bytes).Clear();
        Trace.PrevLocation = 0;
    }

    /// <summary>Takes note of what was counted since <see cref="Begin"/>.</summary>
    /// <returns>Whether a branch was taken for the first time, or distinctly more often than ever.</returns>
    public bool IsNew()
    {
        bool isNew = false;
        var counts = new ReadOnlySpan<ulong>(_counts, Bytes / sizeof(ulong));
        for (int word = 0; word < counts.Length; word++)
        {
            if (counts[word] == 0)
            {
                continue;
            }

            for (int i = word * sizeof(ulong); i < (word + 1) * sizeof(ulong); i++)
            {
                // Powers of two apart, as in AFL: a loop of one more round is nothing new.
                byte magnitude = (byte)(_counts[i] == 0 ? 0 : 1 << BitOperations.Log2(_counts[i]));
                if ((magnitude & ~_seen[i]) != 0)
                {
                    Count += _seen[i] == 0 ? 1 : 0;
                    _seen[i] |= magnitude;
                    isNew = true;
                }
            }
        }

        return isNew;
    }

    public void Dispose()
    {
        // The counters stay: instrumented code may still run on other threads.
    }
}
