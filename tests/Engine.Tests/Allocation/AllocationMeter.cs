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
/// <remarks>
/// A step that allocates does so in every window. In some of the first ones the runtime may allocate as well, since tiered compilation and
/// the test runner have threads of their own. Hence one window without a byte is the proof, and there are enough of them to get there.
/// </remarks>
internal sealed class AllocationMeter(int warmUp, int window)
{
    private const int MaxWindows = 20;

    private readonly List<long> _windows = new(MaxWindows);
    private int _steps;
    private long _before;

    /// <summary>Steps that the measurement takes at most.</summary>
    public int MaxSteps => warmUp + (MaxWindows * window);

    /// <summary>Whether further steps would tell nothing new.</summary>
    public bool IsDone => _windows.Count == MaxWindows || (_windows.Count > 0 && _windows[^1] == 0);

    /// <summary>To be called after each step.</summary>
    public void Step()
    {
        if (++_steps < warmUp || IsDone || (_steps - warmUp) % window != 0)
        {
            return;
        }

        if (_steps > warmUp)
        {
            _windows.Add(GC.GetTotalAllocatedBytes(precise: true) - _before);
        }

        _before = GC.GetTotalAllocatedBytes(precise: true);
    }

    public void ShouldHaveSeenNothing()
    {
        IsDone.ShouldBeTrue();
        _windows[^1].ShouldBe(0, $"bytes per window of {window} steps: {string.Join(", ", _windows)}");
    }
}
