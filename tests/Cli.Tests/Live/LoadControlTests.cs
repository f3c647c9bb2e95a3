using CudaTrainer.Live.Watching;

namespace CudaTrainer.Cli.Tests.Live;

public sealed class LoadControlTests
{
    [Fact]
    public void Windows_are_thinned_until_the_machine_keeps_up_and_come_back_when_there_is_room()
    {
        LoadControl load = new();
        load.Look(isBehind: false, busy: 0.9).ShouldBeFalse();
        load.Of.ShouldBe(1);
        load.Look(isBehind: true, busy: 1).ShouldBeTrue();
        load.Of.ShouldBe(2);
        load.Look(isBehind: true, busy: 1).ShouldBeTrue();
        load.Of.ShouldBe(3);
        load.Load.ShouldBe(2);

        // All windows of two would be 0.9 of the machine: no room.
        Looks(20, busy: 0.6);
        load.Of.ShouldBe(3);
        Looks(1, busy: 0.5);
        load.Of.ShouldBe(2);
        Looks(5, busy: 0.3);
        load.Of.ShouldBe(2);
        Looks(1, busy: 0.3);
        load.Of.ShouldBe(1);

        void Looks(int count, double busy)
        {
            for (int i = 0; i < count; i++)
            {
                load.Look(isBehind: false, busy);
            }
        }
    }

    [Fact]
    public void Thinning_has_an_end()
    {
        LoadControl load = new();
        for (int i = 0; i < 30; i++)
        {
            load.Look(isBehind: true, busy: 1);
        }

        load.Of.ShouldBe(16);
    }
}
