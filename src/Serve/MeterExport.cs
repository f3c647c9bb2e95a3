using System.Diagnostics.Metrics;
using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;
using Prometheus;

namespace CudaTrainer.Serve;

/// <summary>
/// Meters of .NET as metrics of Prometheus: METER_INSTRUMENT, in small letters and with _ for what names must not have. prometheus-net's
/// own adapter declares counters as gauges, and forgets them when nothing is counted for a while.
/// </summary>
internal sealed partial class MeterExport : IDisposable
{
    /// <summary>After which a gauge goes that its instrument does not tell any more, for example of a drift that is over.</summary>
    private static readonly TimeSpan Stale = TimeSpan.FromSeconds(10);

    private readonly MeterListener _listener = new();
    private readonly IMetricFactory _lasting;
    private readonly IManagedLifetimeMetricFactory _passing;

    public MeterExport(CollectorRegistry registry, Func<Instrument, bool> isExported)
    {
        _lasting = Metrics.WithCustomRegistry(registry);
        _passing = _lasting.WithManagedLifetime(Stale);
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (isExported(instrument))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<int>(Record);
        _listener.SetMeasurementEventCallback<long>(Record);
        _listener.SetMeasurementEventCallback<double>(Record);
        _listener.Start();
        registry.AddBeforeCollectCallback(_listener.RecordObservableInstruments);
    }

    public void Dispose() => _listener.Dispose();

    private void Record<T>(Instrument instrument, T measurement, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
        where T : struct, INumber<T>
    {
        // Tags have no order, label names have one.
        KeyValuePair<string, object?>[] sorted = [.. tags];
        Array.Sort(sorted, (one, other) => string.CompareOrdinal(one.Key, other.Key));
        string[] labels = [.. sorted.Select(tag => NameOf(tag.Key))],
            values = [.. sorted.Select(tag => Convert.ToString(tag.Value, CultureInfo.InvariantCulture) ?? "")];
        string name = NameOf($"{instrument.Meter.Name}_{instrument.Name}"), help = instrument.Description ?? "";
        double value = double.CreateChecked(measurement);
        switch (instrument)
        {
            case Counter<T>:
                _lasting.CreateCounter(name, help, labels).WithLabels(values).Inc(value);
                break;
            case ObservableCounter<T>:
                _lasting.CreateCounter(name, help, labels).WithLabels(values).IncTo(value);
                break;
            case Histogram<T> histogram:
                double[]? buckets = histogram.Advice?.HistogramBucketBoundaries?.Select(double.CreateChecked).ToArray();
                _lasting.CreateHistogram(name, help, labels, new HistogramConfiguration { Buckets = buckets })
                    .WithLabels(values).Observe(value);
                break;
            case UpDownCounter<T>:
                _lasting.CreateGauge(name, help, labels).WithLabels(values).Inc(value);
                break;
            case Gauge<T>:
                _lasting.CreateGauge(name, help, labels).WithLabels(values).Set(value);
                break;
            default:
                _passing.CreateGauge(name, help, labels).WithLease(gauge => gauge.Set(value), values);
                break;
        }
    }

    private static string NameOf(string text) => Unnameable().Replace(text.ToLowerInvariant(), "_");

    [GeneratedRegex("[^a-z0-9_]")]
    private static partial Regex Unnameable();
}
