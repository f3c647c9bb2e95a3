namespace CudaTrainer.Engine.Tests.Allocation;

/// <summary>Tests that watch the heap of the whole process run when no other test does.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public static class WholeProcess
{
    public const string Name = "Whole process";
}

/// <summary>
/// Measures what all threads of the process together allocate on the managed heap: after <paramref name="warmUp"/> steps, over windows of
/// <paramref name="window"/> steps each.
/// </summary>
internal sealed class AllocationMeter(int warmUp, int window)
{
    private const int Windows = 4;

    private readonly List<long> _windows = new(Windows);
    private int _steps;
    private long _before;

    /// <summary>Steps until every window is full.</summary>
    public int Steps => warmUp + (Windows * window);

    /// <summary>To be called after each step.</summary>
    public void Step()
    {
        if (++_steps < warmUp || _steps > Steps || (_steps - warmUp) % window != 0)
        {
            return;
        }

        if (_steps > warmUp)
        {
            _windows.Add(GC.GetTotalAllocatedBytes(precise: true) - _before);
        }

        _before = GC.GetTotalAllocatedBytes(precise: true);
    }

    /// <summary>
    /// A step that allocates does so in every window. The runtime's own threads (tiered compilation, the thread pool of the test runner) do now and then, so
    /// one window without a byte is the proof.
    /// </summary>
    public void ShouldHaveSeenNothing()
    {
        _windows.Count.ShouldBe(Windows);
        _windows.Min().ShouldBe(0, $"bytes per window of {window} steps: {string.Join(", ", _windows)}");
    }
}
