using System.Globalization;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Drift;

/// <summary>
/// How often a camera's windows are called by each class: among the latest, among all before them, and of the known pair among clips that
/// the model had not seen. Successive windows are alike, so that n of them count as n·(1 − ρ)/(1 + ρ), with ρ the correlation between
/// neighbours.
/// </summary>
internal sealed class ClassRates
{
    /// <summary>Shares that differ by less are no alarm, however sure the difference is; half of it ends one.</summary>
    private const double LeastDifference = 0.2;

    /// <summary>Deviations of a difference that chance gives less than once in 10,000 times.</summary>
    private const double Deviations = 4;

    /// <summary>Windows before the latest that tell what is usual, in multiples of these.</summary>
    private const int EarlierForEachLatest = 2;

    /// <summary>Windows without which nothing is said.</summary>
    private const int FewestWindows = 20;

    private readonly IReadOnlyList<ClassReference> _classes;

    /// <summary>Labels.</summary>
    private readonly int[] _latest;
    private readonly double[] _starts;

    /// <summary>By label.</summary>
    private readonly long[] _earlier;

    /// <summary>By label, of all windows: those that are called so, and those whose next is as well.</summary>
    private readonly long[] _called, _twice;
    private readonly DriftAlarm?[] _alarms;
    private readonly int[] _watched;
    private readonly bool _isViolence;
    private long _count;
    private int _last = -1;

    /// <param name="classes">By label.</param>
    /// <param name="latest">Windows that count as the latest.</param>
    public ClassRates(IReadOnlyList<ClassReference> classes, int latest)
    {
        _classes = classes;
        _latest = new int[latest];
        _starts = new double[latest];
        _earlier = new long[classes.Count];
        _called = new long[classes.Count];
        _twice = new long[classes.Count];
        _alarms = new DriftAlarm?[classes.Count];

        // Of two classes one says it all.
        _watched = [.. Enumerable.Range(classes.Count == 2 ? 1 : 0, Math.Max(0, classes.Count == 2 ? 1 : classes.Count))];
        _isViolence = classes.Count > 0 && ClassList.Of([.. classes.Select(own => own.Name)]).IsViolence;
    }

    public IEnumerable<DriftAlarm> Alarms => _alarms.OfType<DriftAlarm>();

    private int Recent => (int)Math.Min(_count, _latest.Length);

    public void Add(int label, double start)
    {
        if (label < 0 || label >= _classes.Count)
        {
            return;
        }

        int place = (int)(_count % _latest.Length);
        if (_count >= _latest.Length)
        {
            _earlier[_latest[place]]++;
        }

        _latest[place] = label;
        _starts[place] = start;
        _called[label]++;
        _twice[label] += _last == label ? 1 : 0;
        _last = label;
        _count++;
        foreach (int watched in _watched)
        {
            _alarms[watched] = Judge(watched);
        }
    }

    private DriftAlarm? Judge(int label)
    {
        if (_count < FewestWindows)
        {
            return null;
        }

        long earlier = _count - Recent;
        double share = (double)_latest.Take(Recent).Count(called => called == label) / Recent, weight = Weight(label);
        ClassReference reference = _classes[label];
        bool differs = earlier >= EarlierForEachLatest * _latest.Length
            && Differs(label, share, (double)_earlier[label] / earlier, weight * Recent, weight * earlier, either: true);
        bool exceeds = _isViolence && Differs(label, share, reference.Called, weight * Recent, reference.Scores.Count, either: false);
        if (!differs && !exceeds)
        {
            return null;
        }

        double usual = differs ? (double)_earlier[label] / earlier : reference.Called;
        string sentence = string.Create(CultureInfo.InvariantCulture,
            $"The model calls {100 * share:0} % of the latest {Recent} windows {reference.Name}; ") + string.Create(
            CultureInfo.InvariantCulture,
            $"{(differs ? "of those before" : "of clips of its training data that it had not learned from")} {100 * usual:0} %.");
        return new DriftAlarm(DriftAlarm.ClassRate, sentence, _alarms[label]?.Since ?? _starts[(_count - Recent) % _latest.Length], share,
            usual, usual)
        {
            Class = reference.Name,
        };
    }

    /// <param name="recent">How many independent windows the share is of.</param>
    /// <param name="before">How many independent windows, or clips, the usual share is of.</param>
    /// <param name="either">Whether less than usual counts as well.</param>
    private bool Differs(int label, double share, double usual, double recent, double before, bool either)
    {
        double difference = either ? Math.Abs(share - usual) : share - usual;
        if (_alarms[label] is not null)
        {
            return difference >= LeastDifference / 2;
        }

        double pooled = ((share * recent) + (usual * before)) / (recent + before);
        return difference >= LeastDifference
            && difference >= Deviations * Math.Sqrt(pooled * (1 - pooled) * ((1 / recent) + (1 / before)));
    }

    /// <summary>How many independent windows one window is worth.</summary>
    private double Weight(int label)
    {
        double share = (double)_called[label] / _count, spread = share * (1 - share);
        if (spread <= 0)
        {
            return 1;
        }

        double correlation = Math.Clamp((((double)_twice[label] / (_count - 1)) - (share * share)) / spread, 0, 0.95);
        return (1 - correlation) / (1 + correlation);
    }
}
