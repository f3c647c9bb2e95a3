using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Training.Parallel;

/// <summary>A meeting of threads that can be called off.</summary>
internal sealed class Rendezvous(int members)
{
    /// <summary>Looks before a thread naps: about as long as a nap takes at least.</summary>
    private const int Spins = 50;

    /// <summary>
    /// Naps before a thread sleeps until it is woken: some ms. Whoever is woken is put on the waker's processor, where both stay as long as
    /// both are runnable; one that wakes from a nap is free to be put on another.
    /// </summary>
    private const int Naps = 100;

    private const uint NapMicroseconds = 20;

    private readonly object _gate = new();
    private int _waiting;
    private volatile int _generation;
    private volatile bool _aborted;

    /// <summary>Waits until all have arrived. What each wrote before, all see after.</summary>
    /// <exception cref="ReplicaAbortedException">The meeting was called off.</exception>
    public void Arrive()
    {
        int generation;
        lock (_gate)
        {
            ThrowIfAborted();
            generation = _generation;
            if (++_waiting == members)
            {
                _waiting = 0;
                _generation++;
                System.Threading.Monitor.PulseAll(_gate);
                return;
            }
        }

        for (int i = 0; i < Spins + Naps && _generation == generation && !_aborted; i++)
        {
            if (i < Spins)
            {
                Thread.SpinWait(20);
            }
            else
            {
                ThreadTeam.Nap(NapMicroseconds);
            }
        }

        lock (_gate)
        {
            while (_generation == generation)
            {
                ThrowIfAborted();
                System.Threading.Monitor.Wait(_gate);
            }
        }
    }

    /// <summary>Sends everybody home who waits or is still to come.</summary>
    public void Abort()
    {
        lock (_gate)
        {
            _aborted = true;
            System.Threading.Monitor.PulseAll(_gate);
        }
    }

    private void ThrowIfAborted()
    {
        if (_aborted)
        {
            throw new ReplicaAbortedException();
        }
    }
}
