using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Tests;

/// <summary>Replicas that run in lock-step on threads of their own and exchange statistics through host memory.</summary>
internal sealed class Replicas : IDisposable
{
    /// <summary>Longer than any test takes; a replica that fails must not make the others wait for ever.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly Barrier _barrier;
    private readonly double[][] _parts;

    private Replicas(int count)
    {
        _barrier = new Barrier(count);
        _parts = new double[count][];
    }

    /// <summary>Runs every replica to its end.</summary>
    /// <param name="run">Given the replica's number and its side of the exchange; called on a thread of its own.</param>
    /// <returns>What the replicas return, in their order.</returns>
    public static TResult[] Run<TResult>(int count, Func<int, IStatisticsExchange, TResult> run)
    {
        using var replicas = new Replicas(count);
        Task<TResult>[] tasks = [.. Enumerable.Range(0, count).Select(i => Task.Factory.StartNew(
            () => run(i, new Side(replicas, i)), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        return Task.WhenAll(tasks).GetAwaiter().GetResult();
    }

    public void Dispose() => _barrier.Dispose();

    private void Meet()
    {
        if (!_barrier.SignalAndWait(Patience))
        {
            throw new TimeoutException("A replica did not come to the exchange.");
        }
    }

    private sealed class Side(Replicas all, int replica) : IStatisticsExchange
    {
        public int Parts => all._parts.Length;

        public void AllGather(Tensor part, Tensor gathered)
        {
            all._parts[replica] = part.ToDoubles();
            all.Meet();
            gathered.Write([.. all._parts.SelectMany(values => values)]);

            // Nobody brings the next part before everybody has these.
            all.Meet();
        }
    }
}
