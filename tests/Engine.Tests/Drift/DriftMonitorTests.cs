using CudaTrainer.Data.Video;
using CudaTrainer.Training.Drift;

namespace CudaTrainer.Engine.Tests.Drift;

public sealed class DriftMonitorTests
{
    private static readonly PictureStatistics Usual = new(100, 50, 0.7, 0.05);

    private readonly Random _random = new(5);
    private double _now;

    [Theory]
    [InlineData("luminance", 15, "much darker")]
    [InlineData("luminance", 240, "much brighter")]
    [InlineData("contrast", 5, "less contrast")]
    [InlineData("sharpness", 0.52, "blurred")]
    [InlineData("noise", 8, "noisier")]
    [InlineData("motion", 3, "moves")]
    [InlineData("frame_rate", 4, "fewer frames")]
    [InlineData("frame_rate", 60, "more frames")]
    [InlineData("height", 90, "fewer pixels")]
    [InlineData("distance", 3, "guesses")]
    public void What_leaves_the_range_of_training_is_told_in_a_sentence(string quantity, double value, string words)
    {
        DriftMonitor monitor = new(Reference());
        Show(monitor, 60, Window());
        monitor.Alarms.ShouldBeEmpty();
        double changed = _now;

        Show(monitor, 60, With(quantity, value));

        DriftAlarm alarm = monitor.Alarms.ShouldHaveSingleItem();
        alarm.Quantity.ShouldBe(quantity);
        alarm.Sentence.ShouldContain(words);
        alarm.Since.ShouldBe(changed);
        alarm.Value.ShouldBe(value, 1e-6 * value);
        (value < alarm.Low || value > alarm.High).ShouldBeTrue();
        monitor.Readings.Single(reading => reading.Quantity == quantity).Value.ShouldBe(value, 1e-6 * value);

        Show(monitor, 40, Window());
        monitor.Alarms.ShouldBeEmpty();
    }

    /// <summary>An empty place, a fine grain and a larger picture are no faults.</summary>
    [Theory]
    [InlineData("motion", 0)]
    [InlineData("sharpness", 0.99)]
    [InlineData("noise", 0)]
    [InlineData("height", 2160)]
    [InlineData("distance", 0.1)]
    public void What_is_no_fault_is_no_alarm(string quantity, double value)
    {
        DriftMonitor monitor = new(Reference());
        Show(monitor, 200, With(quantity, value));
        monitor.Alarms.ShouldBeEmpty();
    }

    /// <summary>Ten in a row may be chance once in a thousand times; nine may not yet be called anything.</summary>
    [Fact]
    public void A_moment_is_no_alarm()
    {
        DriftMonitor monitor = new(Reference());
        Show(monitor, 9, With("luminance", 10));
        monitor.Alarms.ShouldBeEmpty();
        Show(monitor, 1, With("luminance", 10));
        monitor.Alarms.ShouldHaveSingleItem();

        DriftMonitor mixed = new(Reference());
        for (int i = 0; i < 300; i++)
        {
            Show(mixed, 1, i % 2 == 0 ? Window() : With("luminance", 10));
            mixed.Alarms.ShouldBeEmpty();
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(9, 10)]
    [InlineData(10, 10)]
    [InlineData(60, 43)]
    public void So_many_windows_are_more_than_chance(int windows, int enough)
    {
        DriftMonitor.Enough(windows).ShouldBe(enough);
        if (enough <= windows)
        {
            Tail(enough).ShouldBeLessThanOrEqualTo(0.001);
            Tail(enough - 1).ShouldBeGreaterThan(0.001);
        }

        double Tail(int from)
        {
            double term = Math.Pow(0.5, windows), sum = 0;
            for (int k = 0; k <= windows; k++)
            {
                sum += k >= from ? term : 0;
                term *= (double)(windows - k) / (k + 1);
            }

            return sum;
        }
    }

    [Fact]
    public void Windows_that_overlap_or_stand_close_count_once()
    {
        DriftMonitor monitor = new(Reference()) { Spacing = 10 };
        for (int i = 0; i < 200; i++)
        {
            monitor.Add(With("luminance", 10) with { Start = i * 0.5, End = (i * 0.5) + 2 });
        }

        monitor.Observations.ShouldBe(10);

        // Longer than the spacing: not before the last has ended.
        DriftMonitor slow = new(Reference()) { Spacing = 1 };
        slow.Add(Window() with { Start = 0, End = 30 }).ShouldBeTrue();
        slow.Add(Window() with { Start = 29, End = 59 }).ShouldBeFalse();
        slow.Add(Window() with { Start = 30, End = 60 }).ShouldBeTrue();

        // Time that goes back is another recording.
        slow.Add(Window() with { Start = 0, End = 30 }).ShouldBeTrue();
    }

    [Fact]
    public void What_is_unknown_is_not_compared()
    {
        DriftMonitor monitor = new(Reference());
        Show(monitor, 100, new DriftObservation(0, 2));
        Show(monitor, 100, With("luminance", double.NaN));
        monitor.Alarms.ShouldBeEmpty();
        monitor.Readings.Single(reading => reading.Quantity == "height").Windows.ShouldBe(60);
        monitor.Readings.Single(reading => reading.Quantity == "luminance").ShouldSatisfyAllConditions(
            reading => reading.Windows.ShouldBe(0), reading => reading.Value.ShouldBe(double.NaN));

        DriftMonitor without = new(new DriftReference());
        Show(without, 100, With("luminance", 1));
        without.Alarms.ShouldBeEmpty();
        without.Readings.ShouldBeEmpty();
    }

    /// <summary>A day of a camera whose windows are drawn from the training clips themselves, at the usual pace.</summary>
    [Fact]
    public void Windows_like_training_clips_are_never_an_alarm()
    {
        DriftMonitor monitor = new(Reference());
        for (int i = 0; i < 8640; i++)
        {
            Show(monitor, 1, Window() with { Called = _random.NextDouble() < 0.5 ? 1 : 0 });
            monitor.Alarms.ShouldBeEmpty();
        }
    }

    [Fact]
    public void A_class_that_is_called_more_often_than_before_is_told()
    {
        DriftMonitor monitor = new(Reference());
        Call(monitor, 400, 0.05);
        monitor.Alarms.ShouldBeEmpty();
        double changed = _now;

        Call(monitor, 60, 0.45);

        DriftAlarm alarm = monitor.Alarms.ShouldHaveSingleItem();
        (alarm.Quantity, alarm.Class).ShouldBe((DriftAlarm.ClassRate, "violent"));
        alarm.Sentence.ShouldContain("% of the latest 60 windows violent; of those before");
        alarm.Value.ShouldBeInRange(0.25, 0.6);
        alarm.High.ShouldBeInRange(0.01, 0.12);
        alarm.Since.ShouldBeInRange(changed - 600, changed + 600);
    }

    /// <summary>Far more than half of everything: something is wrong from the beginning.</summary>
    [Fact]
    public void A_camera_that_is_called_violent_from_the_beginning_is_told()
    {
        DriftMonitor monitor = new(Reference());
        Call(monitor, 60, 0.97);
        monitor.Alarms.ShouldHaveSingleItem().Sentence.ShouldContain("that it had not learned from 50 %");

        DriftMonitor quiet = new(Reference());
        Call(quiet, 60, 0);
        quiet.Alarms.ShouldBeEmpty();
    }

    /// <summary>Twenty windows that are one event are one event: the correlation of neighbours tells.</summary>
    [Fact]
    public void Runs_of_a_class_count_as_few_windows()
    {
        DriftMonitor monitor = new(Reference());
        for (int day = 0; day < 30; day++)
        {
            Call(monitor, 100, 0);
            Call(monitor, 15, 1);
            monitor.Alarms.ShouldBeEmpty();
        }
    }

    [Fact]
    public void Each_of_several_classes_is_watched_against_its_own_past()
    {
        DriftMonitor monitor = new(Reference() with
        {
            Classes = [.. new[] { "fall", "run", "walk" }.Select(name => new ClassReference(name, 0.33, Sketch(0, 1)))],
        });
        for (int i = 0; i < 300; i++)
        {
            Show(monitor, 1, Window() with { Called = _random.NextDouble() < 0.9 ? 2 : 1 });
        }

        monitor.Alarms.ShouldBeEmpty();
        for (int i = 0; i < 60; i++)
        {
            Show(monitor, 1, Window() with { Called = _random.NextDouble() < 0.9 ? 0 : 2 });
        }

        monitor.Alarms.Select(alarm => alarm.Class).ShouldBe(["fall", "walk"]);
    }

    /// <summary>Drawn evenly from the ranges of <see cref="Reference"/>.</summary>
    private DriftObservation Window() => new(0, 2)
    {
        Pictures = new PictureStatistics(Draw(60, 180), Draw(30, 80), Draw(0.6, 0.8), Draw(0, 2)),
        Speed = Draw(0, 0.3),
        FrameRate = Draw(10, 30),
        Height = (int)Draw(240, 1080),
        Distance = Draw(0.3, 1.2),
    };

    private DriftObservation With(string quantity, double value)
    {
        DriftObservation window = new(0, 2) { Pictures = Usual, Speed = 0.05, FrameRate = 25, Height = 480, Distance = 0.6 };
        return quantity switch
        {
            "luminance" => window with { Pictures = Usual with { Luminance = value } },
            "contrast" => window with { Pictures = Usual with { Contrast = value } },
            "sharpness" => window with { Pictures = Usual with { Sharpness = value } },
            "noise" => window with { Pictures = Usual with { Noise = value } },
            "motion" => window with { Speed = value },
            "frame_rate" => window with { FrameRate = value },
            "height" => window with { Height = (int)value },
            _ => window with { Distance = value },
        };
    }

    internal static DriftReference Reference() => new()
    {
        Quantities = new Dictionary<string, QuantileSketch>
        {
            ["luminance"] = Sketch(60, 180),
            ["contrast"] = Sketch(30, 80),
            ["sharpness"] = Sketch(0.6, 0.8),
            ["noise"] = Sketch(0, 2),
            ["motion"] = Sketch(0, 0.3),
            ["frame_rate"] = Sketch(10, 30),
            ["height"] = Sketch(240, 1080),
            ["distance"] = Sketch(0.3, 1.2),
        },
        Classes = [new ClassReference("nonviolent", 0.5, Sketch(0, 1)), new ClassReference("violent", 0.5, Sketch(0, 1))],
    };

    private static QuantileSketch Sketch(double from, double to) =>
        QuantileSketch.Of(Enumerable.Range(0, 201).Select(i => from + ((to - from) * i / 200)));

    private double Draw(double from, double to) => from + ((to - from) * _random.NextDouble());

    private void Call(DriftMonitor monitor, int windows, double share)
    {
        for (int i = 0; i < windows; i++)
        {
            Show(monitor, 1, new DriftObservation(0, 2) { Called = _random.NextDouble() < share ? 1 : 0 });
        }
    }

    private void Show(DriftMonitor monitor, int windows, DriftObservation window)
    {
        for (int i = 0; i < windows; i++)
        {
            monitor.Add(window with { Start = _now, End = _now + 2 }).ShouldBeTrue();
            _now += 10;
        }
    }
}
