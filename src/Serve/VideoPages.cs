using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Serve;

/// <summary>What the script of the page shows, as HTML that needs none.</summary>
internal static class VideoPages
{
    public static Markup List(IReadOnlyList<VideoSummary> videos)
    {
        HtmlBuilder html = new();
        html.Add($"<section class=\"card\" aria-labelledby=\"history-title\"><h2 id=\"history-title\">Your videos</h2>");
        html.Add(videos.Count == 0
            ? HtmlBuilder.Piece($"<p class=\"quiet\">There are none; answers are kept for a while only.</p>")
            : HtmlBuilder.Piece($"<ul class=\"list\">{HtmlBuilder.Join(videos.Select(Row))}</ul>"));
        html.Add($"<p class=\"row plain\"><a class=\"button\" href=\"/\">Upload a video</a></p></section>");
        return html.ToMarkup();
    }

    public static Markup Show(VideoStatus video)
    {
        HtmlBuilder html = new();
        html.Add($"<section class=\"card {Tone(video.Result?.Label)}\" aria-label=\"Answer\">");
        html.Add($"<p class=\"name quiet\">{video.Name}</p>");
        html.Add(video switch
        {
            { Result: { } result } => Verdict(result),
            { Error: { } error } => HtmlBuilder.Piece($"<p class=\"note bad\" role=\"alert\">{error.Message}</p>"),
            { State: JobState.Queued } => HtmlBuilder.Piece($"<progress></progress><p class=\"quiet\">Waiting: number {video.Position ?? 1} in line</p>"),
            _ => HtmlBuilder.Piece($"<progress></progress><p class=\"quiet\">Looking at it: {video.ProgressSeconds:0.0} s of video done</p>"),
        });
        html.Add($"<div class=\"row actions\"><a class=\"button\" href=\"{PageEndpoints.ListPath}\">Your videos</a>{DeleteForm(video.Id, "Delete from the server")}</div></section>");
        if (video.Result is { } answer)
        {
            html.Add(Page.Grid(ChartOf(answer)));
            html.Add(Events(answer));
            html.Add(Frames(answer));
        }

        return html.ToMarkup();
    }

    private static Markup Row(VideoSummary video) => HtmlBuilder.Piece(
        $"<li class=\"{video.State.ToString().ToLowerInvariant()} {Tone(video.Label)}\"><a class=\"open name\" href=\"{PageEndpoints.AddressOf(video.Id)}\">{video.Name}</a><span class=\"tag\">{Called(video)}</span>{DeleteForm(video.Id, "Delete")}</li>");

    private static string Called(VideoSummary video) => video is { Score: { } score, Label: { } label }
        ? $"{Numbers.Percent(score)} {label}"
        : video.State.ToString().ToLowerInvariant();

    private static string Tone(string? label) => label == "violent" ? "violent" : string.Empty;

    private static Markup DeleteForm(string id, string text) =>
        HtmlBuilder.Piece($"<form method=\"post\" action=\"{PageEndpoints.AddressOf(id)}/delete\"><button>{text}</button></form>");

    private static Markup Verdict(VideoResult result)
    {
        HtmlBuilder html = new();
        html.Add($"<p class=\"figure\"><span>{Numbers.Percent(result.Score)}</span><span class=\"tag\">{result.Label}</span></p>");
        html.Add(result.Threshold is { } threshold
            ? HtmlBuilder.Piece($"<p>The highest of {Numbers.Plural(result.Windows.Count, "window")} in {Clock(result.Video.Duration)} of video; called violent from {Numbers.Percent(threshold)} on.</p>")
            : HtmlBuilder.Piece($"<p>The mean of {Numbers.Plural(result.Windows.Count, "window")} in {Clock(result.Video.Duration)} of video.</p>"));
        if (result.Error is { } error)
        {
            html.Add($"<p class=\"note\">The file is damaged ({result.Status}): {error}. The answer is for what could be read.</p>");
        }

        return html.ToMarkup();
    }

    private static Markup ChartOf(VideoResult result)
    {
        string title = result.Threshold is null ? "The likeliest class over time" : "Probability of violence over time";
        List<Series> series = [new Series("probability", 0,
            [.. result.Windows.Select(window => ((window.Start + window.End) / 2, window.Smoothed))])];
        if (result.Threshold is { } threshold)
        {
            series.Add(new Series("threshold", 5, [(0, threshold), (result.Video.Duration, threshold)], SeriesKind.Curve));
        }

        return (Chart.Of(title, $"{result.Windows.Count} windows, the highest {Numbers.Percent(result.Windows.Max(window => window.Smoothed))}.",
            "seconds", "probability", series, wholeX: false) with { Y = Axis.Unit("probability") }).ToMarkup();
    }

    private static Markup Events(VideoResult result)
    {
        HtmlBuilder html = new();
        html.Add($"<section class=\"card\"><h2>{(result.Threshold is null ? "Stretches" : "Events")}</h2>");
        html.Add(result.Events.Count == 0
            ? HtmlBuilder.Piece($"<p class=\"quiet\">Nothing reaches the threshold.</p>")
            : HtmlBuilder.Piece($"<ol>{HtmlBuilder.Join(result.Events.Select(Event))}</ol>"));
        return html.Add($"</section>").ToMarkup();
    }

    private static Markup Event(ViolenceEvent found) => HtmlBuilder.Piece(
        $"<li>{Clock(found.Start)} – {Clock(found.End)}, {found.Label ?? string.Empty} up to {Numbers.Percent(found.Peak)} at {Clock(found.PeakTime)}</li>");

    private static Markup Frames(VideoResult result) => HtmlBuilder.Piece(
        $"<section class=\"card\"><h2>Key frames</h2><div class=\"frames\">{HtmlBuilder.Join(result.Frames.Select(Frame))}</div></section>");

    private static Markup Frame(FrameAnswer frame) => HtmlBuilder.Piece(
        $"<div><img src=\"{frame.Url}\" alt=\"Frame at {Clock(frame.Time)}\" width=\"{frame.Width}\" height=\"{frame.Height}\"><p>{Clock(frame.Time)}</p></div>");

    private static string Clock(double seconds) => FormattableString.Invariant($"{(int)seconds / 60}:{seconds % 60:00.0}");
}
