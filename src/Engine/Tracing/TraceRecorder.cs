using System.Diagnostics;
using System.Text.Json;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tracing;

/// <summary>What the time of a span is spent on.</summary>
public enum SpanKind
{
    /// <summary>Arithmetic on a device.</summary>
    Compute,

    /// <summary>A stage that waits for what comes before it.</summary>
    Wait,

    /// <summary>Bytes on their way between host, device and files.</summary>
    Copy,

    /// <summary>What a step costs whatever the size of its batch: gradients are cleared, parameters updated.</summary>
    Update,

    /// <summary>Gradients on their way between replicas.</summary>
    Exchange,

    /// <summary>Work of other threads beside the stage that sets the pace.</summary>
    Beside,

    /// <summary>A step or an extraction as a whole, whose parts are spans of their own.</summary>
    Whole,
}

/// <summary>
/// What ran when and where, as it is recorded by whoever is asked to; for one process. Times are ticks of <see cref="Stopwatch"/>. Safe for
/// several threads.
/// </summary>
public sealed class TraceRecorder
{
    /// <summary>Spans that are kept. Sums go on beyond.</summary>
    internal const int Capacity = 200_000;

    private readonly long _origin = Stopwatch.GetTimestamp();
    private readonly Lock _lock = new();
    private readonly List<TraceTrack> _tracks = [];
    private readonly List<TraceSpan> _spans = [];
    private readonly Dictionary<(string Stage, string Name, SpanKind Kind), (long Ticks, int Count)> _sums = [];
    private readonly int _process;

    /// <param name="process">Number of this process among several.</param>
    public TraceRecorder(int process = 0) => _process = process;

    /// <summary>Spans that were not kept, because there were too many.</summary>
    public int Dropped { get; private set; }

    /// <summary>The spans kept, in the order in which they ended.</summary>
    internal IReadOnlyList<TraceSpan> Spans
    {
        get
        {
            lock (_lock)
            {
                return [.. _spans];
            }
        }
    }

    /// <summary>A line of the picture: a thread or a device at work on a stage.</summary>
    /// <param name="stage"><c>extract</c> or <c>train</c>.</param>
    /// <param name="counts">Whether its spans are added up: of several alike, one speaks for all.</param>
    public TraceTrack Track(string stage, string name, bool counts = true)
    {
        lock (_lock)
        {
            var track = new TraceTrack(this, _tracks.Count + 1, stage, name, counts);
            _tracks.Add(track);
            return track;
        }
    }

    /// <summary>Seconds and calls of each name, by stage, in the order of first use.</summary>
    public IReadOnlyList<(string Stage, string Name, SpanKind Kind, double Seconds, int Count)> Sums
    {
        get
        {
            lock (_lock)
            {
                return [.. _sums.Select(
                    sum => (sum.Key.Stage, sum.Key.Name, sum.Key.Kind, (double)sum.Value.Ticks / Stopwatch.Frequency, sum.Value.Count))];
            }
        }
    }

    /// <summary>
    /// Writes the spans in Chrome's trace event format, which ui.perfetto.dev and chrome://tracing show (Google, "Trace Event Format":
    /// complete events, times in µs).
    /// </summary>
    public void Write(string path)
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory))
        {
            json.WriteStartObject();
            json.WriteString("displayTimeUnit", "ms");
            json.WriteStartArray("traceEvents");
            WriteName(json, "process_name", 0, "cudatrainer");
            lock (_lock)
            {
                foreach (TraceTrack track in _tracks)
                {
                    WriteName(json, "thread_name", track.Number, $"{track.Stage}: {track.Name}");
                }

                foreach (TraceSpan span in _spans)
                {
                    json.WriteStartObject();
                    json.WriteString("name", span.Name);
                    json.WriteString("cat", $"{span.Track.Stage},{span.Kind.ToString().ToLowerInvariant()}");
                    json.WriteString("ph", "X");
                    json.WriteNumber("ts", Math.Round(Microseconds(span.Begin - _origin), 3));
                    json.WriteNumber("dur", Math.Round(Microseconds(span.End - span.Begin), 3));
                    json.WriteNumber("pid", _process);
                    json.WriteNumber("tid", span.Track.Number);
                    json.WriteEndObject();
                }
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        AtomicFile.WriteAllBytes(path, memory.ToArray());
    }

    internal void Add(TraceTrack track, string name, SpanKind kind, long begin, long end)
    {
        lock (_lock)
        {
            if (track.Counts)
            {
                (long ticks, int count) = _sums.GetValueOrDefault((track.Stage, name, kind));
                _sums[(track.Stage, name, kind)] = (ticks + end - begin, count + 1);
            }

            if (_spans.Count < Capacity)
            {
                _spans.Add(new TraceSpan(track, name, kind, begin, end));
            }
            else
            {
                Dropped++;
            }
        }
    }

    private static double Microseconds(long ticks) => ticks * 1e6 / Stopwatch.Frequency;

    private void WriteName(Utf8JsonWriter json, string what, int track, string name)
    {
        json.WriteStartObject();
        json.WriteString("name", what);
        json.WriteString("ph", "M");
        json.WriteNumber("pid", _process);
        json.WriteNumber("tid", track);
        json.WriteStartObject("args");
        json.WriteString("name", name);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}

/// <summary>A thread or a device of a <see cref="TraceRecorder"/>.</summary>
public sealed class TraceTrack
{
    private readonly TraceRecorder _trace;

    internal TraceTrack(TraceRecorder trace, int number, string stage, string name, bool counts)
    {
        _trace = trace;
        (Number, Stage, Name, Counts) = (number, stage, name, counts);
    }

    public string Stage { get; }

    public string Name { get; }

    internal int Number { get; }

    internal bool Counts { get; }

    public void Add(string name, SpanKind kind, long begin, long end) => _trace.Add(this, name, kind, begin, end);

    /// <summary>What began at <paramref name="begin"/> ends now.</summary>
    public void Add(string name, SpanKind kind, long begin) => _trace.Add(this, name, kind, begin, Stopwatch.GetTimestamp());
}

internal readonly record struct TraceSpan(TraceTrack Track, string Name, SpanKind Kind, long Begin, long End);
