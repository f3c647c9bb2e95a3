using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// How long a GPU communicates in a step, and how much of it the compute stream waits for, by events; read when the host has waited for the
/// step anyway.
/// </summary>
internal sealed class CudaCommunicationClock
{
    private readonly CudaContext _context;
    private readonly List<(CudaEvent Begin, CudaEvent End)> _pieces = [];
    private readonly CudaEvent _computed;
    private readonly CudaEvent _joined;
    private int _count;
    private bool _hasJoined;

    public CudaCommunicationClock(CudaContext context)
    {
        _context = context;
        _computed = new CudaEvent(context, timing: true);
        _joined = new CudaEvent(context, timing: true);
    }

    /// <summary>From the moment that gradients were ready to their sum.</summary>
    public double Seconds { get; private set; }

    /// <summary>In which the compute stream had nothing to do but wait.</summary>
    public double ExposedSeconds { get; private set; }

    public void Begin(CudaStream stream)
    {
        if (_count == _pieces.Count)
        {
            _pieces.Add((new CudaEvent(_context, timing: true), new CudaEvent(_context, timing: true)));
        }

        stream.Record(_pieces[_count].Begin);
    }

    /// <summary>Ends what <see cref="Begin"/> began.</summary>
    public void End(CudaStream stream) => stream.Record(_pieces[_count++].End);

    /// <summary>Makes the compute stream wait for <paramref name="sums"/>.</summary>
    public void Join(CudaStream compute, CudaEvent sums)
    {
        compute.Record(_computed);
        compute.Wait(sums);
        compute.Record(_joined);
        _hasJoined = true;
    }

    /// <summary>Adds the step's times up. All of its work is done.</summary>
    public void Collect()
    {
        for (int i = 0; i < _count; i++)
        {
            Seconds += _pieces[i].End.MillisecondsSince(_pieces[i].Begin) / 1e3;
        }

        if (_hasJoined)
        {
            ExposedSeconds += _joined.MillisecondsSince(_computed) / 1e3;
        }

        (_count, _hasJoined) = (0, false);
    }
}
