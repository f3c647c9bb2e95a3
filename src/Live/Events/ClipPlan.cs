namespace CudaTrainer.Live.Events;

/// <summary>
/// Which stretches of a session the clips of one event are, and when each can be taken: a long event in parts, as what is not taken in
/// time is gone. All times are seconds of the session.
/// </summary>
/// <param name="start">Of the event.</param>
/// <param name="before">Seconds of the clip before it.</param>
/// <param name="after">Seconds after it.</param>
internal sealed class ClipPlan(double start, double before, double after)
{
    /// <summary>Seconds of a part of which there are more to come.</summary>
    public const double PartSeconds = 30;

    private double _from = Math.Max(0, start - before);
    private double? _until;
    private bool _isIdle;

    /// <summary>Whether nothing is to be taken until the event is continued.</summary>
    public bool IsIdle => _isIdle;

    /// <summary>The event goes on.</summary>
    /// <param name="stretch">Where it was continued last.</param>
    /// <param name="now">What has come from the camera.</param>
    public IEnumerable<(double From, double To)> GoOn(double stretch, double now)
    {
        if (_isIdle)
        {
            (_from, _isIdle) = (Math.Max(_from, stretch - before), false);
        }

        _until = null;
        while (now >= _from + PartSeconds)
        {
            yield return (_from, _from + PartSeconds);
            _from += PartSeconds;
        }
    }

    /// <summary>Nothing has happened since a time.</summary>
    /// <param name="isLast">Whether nothing more will come from the camera.</param>
    public (double From, double To)? Rest(double since, double now, bool isLast)
    {
        _until ??= since + after;
        if (_isIdle || (now < _until && !isLast))
        {
            return null;
        }

        (double, double) part = (_from, _until.Value);
        (_from, _isIdle) = (_until.Value, true);
        return part;
    }
}
