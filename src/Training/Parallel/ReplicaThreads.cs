using System.Runtime.ExceptionServices;

namespace CudaTrainer.Training.Parallel;

/// <summary>A thread for each replica but the first, which runs on the caller's.</summary>
internal sealed class ReplicaThreads : IDisposable
{
    private readonly Action<int> _abort;
    private readonly Worker[] _workers;
    private readonly Exception?[] _failures;
    private Action<int> _work = _ => { };

    /// <param name="abort">Ends the waiting of one replica for the others.</param>
    public ReplicaThreads(int count, Action<int> abort)
    {
        _abort = abort;
        _failures = new Exception?[count];
        _workers = [.. Enumerable.Range(1, count - 1).Select(index => new Worker(this, index))];
    }

    /// <summary>Does <paramref name="work"/> for every replica at once and waits for all.</summary>
    /// <exception cref="Exception">What the first replica that failed threw; the others were ended.</exception>
    public void Run(Action<int> work)
    {
        Array.Clear(_failures);
        _work = work;
        foreach (Worker worker in _workers)
        {
            worker.Begin();
        }

        Do(0);
        foreach (Worker worker in _workers)
        {
            worker.Wait();
        }

        Exception? failure = null;
        foreach (Exception? candidate in _failures)
        {
            failure = candidate is not null && failure is null or ReplicaAbortedException ? candidate ?? failure : failure;
        }

        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    public void Dispose()
    {
        foreach (Worker worker in _workers)
        {
            worker.Dispose();
        }
    }

    private void Do(int index)
    {
        try
        {
            _work(index);
        }
        catch (Exception exception)
        {
            _failures[index] = exception;
            _abort(index);
        }
    }

    private sealed class Worker : IDisposable
    {
        private readonly SemaphoreSlim _begin = new(0);
        private readonly SemaphoreSlim _done = new(0);
        private readonly Thread _thread;
        private volatile bool _stop;

        public Worker(ReplicaThreads owner, int index)
        {
            _thread = new Thread(() =>
            {
                while (true)
                {
                    _begin.Wait();
                    if (_stop)
                    {
                        return;
                    }

                    owner.Do(index);
                    _done.Release();
                }
            })
            {
                IsBackground = true,
                Name = $"replica {index}",
            };
            _thread.Start();
        }

        public void Begin() => _begin.Release();

        public void Wait() => _done.Wait();

        public void Dispose()
        {
            _stop = true;
            _begin.Release();
            _thread.Join();
            _begin.Dispose();
            _done.Dispose();
        }
    }
}
