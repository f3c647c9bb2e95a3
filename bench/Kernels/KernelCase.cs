namespace CudaTrainer.Bench.Kernels;

/// <summary>A kernel at one shape of the model.</summary>
/// <remarks>Public because BenchmarkDotNet's generated code names it.</remarks>
public sealed class KernelCase : IComparable
{
    private static int _created;

    private readonly string _name;
    private readonly int _number = _created++;

    internal KernelCase(string name, Work work, Func<int, PreparedKernel> prepare)
    {
        _name = name;
        Work = work;
        Prepare = prepare;
    }

    internal Work Work { get; }

    /// <summary>Makes inputs for a team of so many threads.</summary>
    internal Func<int, PreparedKernel> Prepare { get; }

    /// <summary>In the order of the catalog: BenchmarkDotNet sorts its table by it.</summary>
    public int CompareTo(object? obj) => obj is KernelCase other ? _number.CompareTo(other._number) : 1;

    public override string ToString() => _name;
}

/// <summary>A kernel with its inputs.</summary>
/// <param name="run">Computes once; may be repeated.</param>
/// <param name="check">Computes once and compares with double precision; throws <see cref="WrongResultException"/>. Called first.</param>
/// <param name="owned">Disposed with it.</param>
internal sealed class PreparedKernel(Action run, Action check, params IReadOnlyList<IDisposable?> owned) : IDisposable
{
    public Action Run => run;

    public Action Check => check;

    public void Dispose()
    {
        foreach (IDisposable? item in owned.Reverse())
        {
            item?.Dispose();
        }
    }
}

/// <summary>A kernel does not compute what it should; its speed means nothing.</summary>
internal sealed class WrongResultException(string message) : Exception(message)
{
    /// <param name="what">Which result.</param>
    /// <param name="relativeError">Against double precision.</param>
    /// <param name="tolerance">Largest allowed.</param>
    /// <exception cref="WrongResultException">It is larger, or NaN.</exception>
    public static void ThrowIfAbove(string what, double relativeError, double tolerance)
    {
        if (!(relativeError <= tolerance))
        {
            throw new WrongResultException(
                $"{what} is wrong: its relative error against double precision is {relativeError:E1}, above {tolerance:E0}.");
        }
    }
}
