using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Parallel;

/// <summary>Whoever waits spins, then naps, then sleeps: nobody is lost in any of the three.</summary>
public sealed class RendezvousTests
{
    /// <param name="lateness">Of the last to come, in milliseconds: 0 finds the others spinning, 1 napping, 60 asleep, all but
    /// surely.</param>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(60)]
    public void EveryoneSeesWhatAllWroteBefore(int lateness)
    {
        const int members = 3, rounds = 5;
        var meeting = new Rendezvous(members);
        int[] written = new int[members];
        int[] wrong = new int[members];
        Thread[] threads = [.. Enumerable.Range(0, members).Select(member => new Thread(() =>
        {
            for (int round = 1; round <= rounds; round++)
            {
                if (member == round % members)
                {
                    Thread.Sleep(lateness);
                }

                written[member] = round;
                meeting.Arrive();
                wrong[member] += written.Count(value => value != round);
                meeting.Arrive();
            }
        }))];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Equal(new int[members], wrong);
        Assert.All(written, value => Assert.Equal(rounds, value));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(60)]
    public void WhoeverWaitsIsSentHome(int lateness)
    {
        var meeting = new Rendezvous(2);
        Exception? seen = null;
        var waiting = new Thread(() => seen = Record.Exception(meeting.Arrive));
        waiting.Start();
        Thread.Sleep(lateness);
        meeting.Abort();
        waiting.Join();
        Assert.IsType<ReplicaAbortedException>(seen);
        Assert.Throws<ReplicaAbortedException>(meeting.Arrive);
    }
}
