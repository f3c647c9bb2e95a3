using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

public sealed class FaultHandlersTests
{
    private const int IllegalInstruction = 4;
    private const int BreakpointTrap = 5;
    private const nint Ignore = 1;

    /// <summary>Signals that nothing raises here, so that other tests do not notice.</summary>
    [Theory]
    [InlineData(IllegalInstruction)]
    [InlineData(BreakpointTrap)]
    public void A_handler_that_a_library_takes_is_put_back(int number)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "signals are Linux's");
        using var clean = new FaultHandlers();
        nint before, after;
        using (new FaultHandlers())
        {
            before = signal(number, Ignore);
            after = signal(number, Ignore);
            after.ShouldBe(Ignore);
        }

        after = signal(number, Ignore);
        after.ShouldBe(before);
        before.ShouldNotBe(Ignore);
    }

    [DllImport("libc")]
    private static extern nint signal(int number, nint handler);
}
