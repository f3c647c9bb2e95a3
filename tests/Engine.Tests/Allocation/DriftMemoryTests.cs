using CudaTrainer.Engine.Tests.Drift;
using CudaTrainer.Training.Drift;

namespace CudaTrainer.Engine.Tests.Allocation;

[Collection(WholeProcess.Name)]
public sealed class DriftMemoryTests
{
    [Fact]
    public void A_monitor_does_not_grow_with_time()
    {
        DriftMonitor monitor = new(DriftMonitorTests.Reference());
        Show(1000);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        Show(20_000);
        (GC.GetTotalMemory(forceFullCollection: true) - before).ShouldBeLessThan(100_000);
        monitor.Observations.ShouldBe(21_000);

        void Show(int windows)
        {
            for (int i = 0; i < windows; i++)
            {
                double start = monitor.Observations * 10;
                monitor.Add(new DriftObservation(start, start + 2) { Called = i % 2, Distance = 1, FrameRate = 25, Height = 360 });
            }
        }
    }
}
