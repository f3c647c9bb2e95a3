using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Engine.Tests.Training;

public class FalseAlarmsTests
{
    private static readonly WindowPlan Plan = new(4, 1);

    /// <summary>Half of the 2.5th and 97.5th percentiles of χ² with 2n and 2n + 2 degrees of freedom, summed to 60 digits.</summary>
    [Theory]
    [InlineData(0, 0, 3.688879454113936)]
    [InlineData(1, 0.02531780798428988, 5.571643390938899)]
    [InlineData(5, 1.62348639011842, 11.66833207932267)]
    [InlineData(10, 4.795388696132433, 18.39035604201778)]
    [InlineData(100, 81.36399125092314, 121.62679379242638)]
    public void The_interval_of_a_count_is_Garwoods(int count, double low, double high)
    {
        Interval interval = PoissonInterval.Of(count);

        interval.Low.ShouldBe(low, 1e-9);
        interval.High.ShouldBe(high, 1e-9);
    }

    [Fact]
    public void Large_counts_have_the_interval_that_the_normal_distribution_gives_to_their_cube_root()
    {
        // Wilson and Hilferty's approximation of χ², Proc. Natl. Acad. Sci. 17 (1931), is good to 1e-3 here.
        const int Count = 20000;

        Interval interval = PoissonInterval.Of(Count);

        interval.Low.ShouldBe(Approximate(Count, -1.959964), 0.005);
        interval.High.ShouldBe(Approximate(Count + 1, 1.959964), 0.005);

        static double Approximate(double n, double deviations) =>
            n * Math.Pow(1 - (1 / (9 * n)) + (deviations / (3 * Math.Sqrt(n))), 3);
    }

    [Fact]
    public void Every_event_and_every_second_counts_and_the_worst_video_comes_first()
    {
        FalseAlarms alarms = FalseAlarms.Of(
            [Watched("calm", 0.1, 0.55, 0.2), Watched("two", 0.7, 0.1, 0.8, 0.1), Gone("text"), Watched("cut", 0.65) with
            {
                Status = "truncated",
                Error = "ends early",
            }],
            Plan, smooth: 0, threshold: 0.6, release: 0.4);

        // Windows of 4 s, one a second: 6 s, 7 s and 4 s.
        double hours = 17.0 / 3600;
        (alarms.Videos, alarms.Unreadable, alarms.Events, alarms.Windows, alarms.WindowsAbove).ShouldBe((3, 1, 3, 8, 3));
        alarms.Hours.ShouldBe(hours, 1e-12);
        alarms.PerHour.ShouldBe(3 / hours, 1e-9);
        alarms.PerHourInterval.Low.ShouldBe(PoissonInterval.Of(3).Low / hours, 1e-9);
        alarms.PerHourInterval.High.ShouldBe(PoissonInterval.Of(3).High / hours, 1e-9);
        alarms.WindowShare.ShouldBe(3.0 / 8);
        alarms.Watched.Select(video => video.Path).ShouldBe(["two", "cut", "calm", "text"]);
        alarms.Watched.Select(video => (video.Seconds, video.Events.Count)).ShouldBe([(7, 2), (4, 1), (6, 0), (0, 0)]);
        (alarms.Watched[0].Highest, alarms.Watched[0].HighestTime).ShouldBe((0.8, 4));
        alarms.Watched[1].Error.ShouldBe("ends early");
        alarms.Watched[3].Highest.ShouldBe(double.NaN);
    }

    [Fact]
    public void Where_nothing_was_watched_there_is_no_rate()
    {
        FalseAlarms alarms = FalseAlarms.Of([Gone("text")], Plan, 0, 0.5, 0.5);

        (alarms.Videos, alarms.Unreadable, alarms.Events, alarms.Hours).ShouldBe((0, 1, 0, 0));
        new[] { alarms.PerHour, alarms.PerHourInterval.Low, alarms.PerHourInterval.High, alarms.WindowShare }
            .ShouldAllBe(value => double.IsNaN(value));
    }

    private static Prediction Watched(string path, params double[] probabilities)
    {
        IReadOnlyList<WindowScore> windows = [.. probabilities.Select((p, i) => new WindowScore(i, i + 4, p, p))];
        return new Prediction(path, probabilities.Max(), "nonviolent", 0.6, "ok", null, null)
        {
            Windows = windows,
            Events = Timeline.Events(windows, 0.6, 0.4),
            Release = 0.4,
        };
    }

    private static Prediction Gone(string path) =>
        new(path, null, null, 0.6, "not a video", "no video", null) { Windows = [], Events = [], Release = 0.4 };
}
