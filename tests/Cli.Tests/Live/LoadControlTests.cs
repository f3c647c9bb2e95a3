using CudaTrainer.Live.Watching;

namespace CudaTrainer.Cli.Tests.Live;

public sealed class LoadControlTests
{
    [Fact]
    public void Windows_are_thinned_until_the_machine_keeps_up_and_come_back_when_there_is_room()
    {
        LoadControl load = new();
        load.Look(isBehind: false, own: 0.9, idle: 0.1).ShouldBeFalse();
        load.Of.ShouldBe(1);
        load.Look(isBehind: true, own: 0.95, idle: 0).ShouldBeTrue();
        load.Of.ShouldBe(2);
        load.Look(isBehind: true, own: 0.95, idle: 0).ShouldBeTrue();
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
                load.Look(isBehind: false, busy, idle: 1 - busy);
            }
        }
    }

    [Fact]
    public void What_is_lost_on_a_machine_with_room_is_not_the_machines_fault()
    {
        LoadControl load = new();
        load.Look(isBehind: true, own: 0.3, idle: 0.5).ShouldBeFalse();

        // Others leave it little: that is all it can have.
        load.Look(isBehind: true, own: 0.3, idle: 0.02).ShouldBeTrue();
        load.Load.ShouldBeInRange(0.9, 1);
    }

    [Fact]
    public void Thinning_has_an_end()
    {
        LoadControl load = new();
        for (int i = 0; i < 30; i++)
        {
            load.Look(isBehind: true, own: 0.95, idle: 0);
        }

        load.Of.ShouldBe(16);
    }
}
