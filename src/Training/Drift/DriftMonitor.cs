namespace CudaTrainer.Training.Drift;

/// <summary>
/// Watches whether one camera still shows what a model fits. The latest windows, thinned so that they do not overlap and stand apart in
/// time, are compared with the range of the training clips: an alarm is given where so many of them lie beyond it as would happen once in
/// a thousand times if only half of the camera's windows did (the sign test), and taken back when fewer than half do.
/// </summary>
/// <remarks>Bounded memory, whatever the time; one thread at a time. A camera needs a monitor of its own.</remarks>
public sealed class DriftMonitor
{
    /// <summary>Windows that are looked at together.</summary>
    internal const int Latest = 60;

    /// <summary>How often chance alone may seem to be a change.</summary>
    private const double Chance = 0.001;

    private readonly (DriftQuantity Quantity, QuantileSketch Sketch, double Low, double High)[] _quantities;

    /// <summary>[<see cref="Latest"/>][quantity]; NaN where unknown.</summary>
    private readonly double[][] _values;
    private readonly double[] _starts = new double[Latest];
    private readonly DriftAlarm?[] _alarms;
    private readonly ClassRates _rates;
    private long _count;
    private DriftObservation _last;

    public DriftMonitor(DriftReference reference)
    {
        _quantities =
        [
            .. from quantity in DriftQuantity.All
               where reference.Quantities.ContainsKey(quantity.Name)
               let sketch = reference.Quantities[quantity.Name]
               let limits = quantity.Limits(sketch)
               select (quantity, sketch, limits.Low, limits.High),
        ];
        _values = [.. Enumerable.Range(0, Latest).Select(_ => new double[_quantities.Length])];
        _alarms = new DriftAlarm?[_quantities.Length];
        _rates = new ClassRates(reference.Classes, Latest);
    }

    /// <summary>
    /// Least seconds from the start of a window that counts to the start of the next. Windows next to each other show the same moment.
    /// </summary>
    public double Spacing { get; init; } = 10;

    /// <summary>What is the matter now.</summary>
    public IReadOnlyList<DriftAlarm> Alarms => [.. _alarms.OfType<DriftAlarm>(), .. _rates.Alarms];

    /// <summary>Every quantity that the reference has.</summary>
    public IReadOnlyList<DriftReading> Readings => [.. _quantities.Select((one, i) =>
    {
        double[] values = Values(i);
        return new DriftReading(one.Quantity.Name, one.Quantity.Title, one.Sketch, values.Length,
            values.Length == 0 ? double.NaN : QuantileSketch.At(values, 0.5));
    })];

    /// <summary>Windows that counted.</summary>
    public long Observations => _count;

    /// <summary>Takes the next window. One that is too near to the last that counted is passed over; time that goes back is a new
    /// recording.</summary>
    /// <returns>Whether it counts.</returns>
    public bool Add(in DriftObservation observation)
    {
        if (_count > 0 && observation.Start >= _last.Start
            && (observation.Start < _last.Start + Spacing || observation.Start < _last.End))
        {
            return false;
        }

        _last = observation;
        int place = (int)(_count++ % Latest);
        _starts[place] = observation.Start;
        for (int i = 0; i < _quantities.Length; i++)
        {
            double value = _quantities[i].Quantity.Value(observation);
            _values[place][i] = double.IsFinite(value) ? value : double.NaN;
            _alarms[i] = Judge(i);
        }

        if (observation.Called is { } label)
        {
            _rates.Add(label, observation.Start);
        }

        return true;
    }

    /// <summary>
    /// The fewest of so many windows that are more than chance: P(at least these | p = ½) is at most <see cref="Chance"/>.
    /// </summary>
    /// <returns>More than <paramref name="count"/> where all of them would not be enough.</returns>
    internal static int Enough(int count)
    {
        double tail = 0, term = Math.Pow(0.5, count);
        int enough = count + 1;
        while (enough > 0 && tail + term <= Chance)
        {
            tail += term;
            enough--;
            term *= (double)enough / (count - enough + 1);
        }

        return enough;
    }

    private DriftAlarm? Judge(int i)
    {
        (DriftQuantity quantity, QuantileSketch sketch, double low, double high) = _quantities[i];
        double[] values = Values(i);
        int below = values.Count(value => value < low), above = values.Count(value => value > high);
        bool isLow = quantity.WhenLow is not null && below >= above;
        int beyond = isLow ? below : quantity.WhenHigh is null ? 0 : above;
        if (_alarms[i] is null ? beyond < Enough(values.Length) : 2 * beyond < values.Length)
        {
            return null;
        }

        double value = QuantileSketch.At(values, 0.5);
        string sentence = $"{(isLow ? quantity.WhenLow : quantity.WhenHigh)}: {quantity.Text(value, sketch)}.";
        return new DriftAlarm(quantity.Name, sentence, _alarms[i]?.Since ?? First(), value, sketch.Low, sketch.High);

        double First()
        {
            for (long at = Math.Max(0, _count - Latest); ; at++)
            {
                double one = _values[at % Latest][i];
                if (isLow ? one < low : one > high)
                {
                    return _starts[at % Latest];
                }
            }
        }
    }

    /// <summary>Of the latest windows, those that are known, sorted.</summary>
    private double[] Values(int i)
    {
        double[] values = [.. _values.Take((int)Math.Min(_count, Latest)).Select(window => window[i]).Where(double.IsFinite)];
        Array.Sort(values);
        return values;
    }
}
