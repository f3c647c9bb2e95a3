using System.Globalization;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Serve;

/// <summary>The content of the page of the cameras.</summary>
internal static class CameraView
{
    private const int EventsShown = 30;

    public static Markup Render(CameraWall wall)
    {
        HtmlBuilder html = new();
        html.Add($"<div id=\"cameras\">");
        if (wall.Load is { } load)
        {
            html.Add($"<p class=\"note\" role=\"status\">The machine does not keep up: all windows are {Invariant($"{load.Load:0.0}")} times what it manages; one of {load.Of} is computed.</p>");
        }

        html.Add($"<div class=\"wall\">");
        IReadOnlyList<CameraStatus> cameras = wall.Cameras;
        for (int number = 0; number < cameras.Count; number++)
        {
            html.Add(Tile(wall, cameras[number], number));
        }

        html.Add($"</div></div>");
        html.Add(Events(wall));
        return html.ToMarkup();
    }

    private static Markup Tile(CameraWall wall, CameraStatus camera, int number)
    {
        IReadOnlyList<LiveAnswer> answers = wall.AnswersOf(camera.Name);
        bool isLive = camera.State == CameraState.Live, isViolent = isLive && camera.Answer?.Label == "violent";
        HtmlBuilder html = new();
        html.Add($"<article class=\"card camera {(isViolent ? "violent" : isLive ? "" : "away")}\" aria-label=\"{camera.Name}\">");
        html.Add(wall.PicturedAt(camera.Name) is { } at
            ? HtmlBuilder.Piece($"<div class=\"view\"><img alt=\"Picture of {camera.Name}\" src=\"{CameraEndpoints.PictureUrl(number, at)}\"></div>")
            : HtmlBuilder.Piece($"<div class=\"view\"><span>no picture yet</span></div>"));
        html.Add($"<div class=\"row\"><h2 class=\"name\">{camera.Name}</h2><span class=\"tag\">{Called(camera)}</span></div>");
        html.Add($"<p class=\"quiet\">{Facts(camera)}</p>");
        foreach (DriftBegan drift in camera.Drift)
        {
            html.Add($"<p class=\"quiet drift\">{drift.Sentence}</p>");
        }

        html.Add(Curve(answers));
        return html.Add($"</article>").ToMarkup();
    }

    private static string Called(CameraStatus camera) => camera switch
    {
        { State: CameraState.Live, Answer: { } answer } => $"{Numbers.Percent(answer.Score)} {answer.Label}",
        { State: CameraState.Live } => "live",
        { State: CameraState.Connecting } => "connecting",
        { State: CameraState.Waiting } => "away",
        _ => "over",
    };

    private static string Facts(CameraStatus camera) => camera switch
    {
        { State: CameraState.Live } => Invariant($"{camera.Width} × {camera.Height}, {camera.FrameRate:0.#} frames/s{Lost(camera)}"),
        { Reason: { } reason } => reason,
        _ => camera.Address,
    };

    private static string Lost(CameraStatus camera) => camera.LeftOut + camera.PassedOver + camera.Skipped is var lost && lost > 0
        ? Invariant($", {camera.LeftOut + camera.PassedOver} frames and {camera.Skipped} windows left out")
        : string.Empty;

    /// <summary>The course of the latest answers, from 0 below to 1 above.</summary>
    private static Markup Curve(IReadOnlyList<LiveAnswer> answers)
    {
        const int width = 120, height = 40;
        string points = string.Join('L', answers.Select((answer, i) =>
            Invariant($"{width - answers.Count + i + 1} {2 + ((height - 4) * (1 - answer.Score)):0.#}")));
        return HtmlBuilder.Piece($"<svg viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"The latest {answers.Count} answers\"><line x1=\"0\" x2=\"{width}\" y1=\"{height / 2}\" y2=\"{height / 2}\"/><path d=\"{(answers.Count > 1 ? "M" + points : "")}\"/></svg>");
    }

    private static Markup Events(CameraWall wall)
    {
        IReadOnlyList<EventNews> events = wall.Events;
        HtmlBuilder html = new();
        html.Add($"<section class=\"card\" aria-labelledby=\"events-title\"><h2 id=\"events-title\">Events</h2>");
        html.Add(events.Count == 0
            ? HtmlBuilder.Piece($"<p class=\"quiet\">Nothing has happened yet.</p>")
            : HtmlBuilder.Piece($"<ol class=\"events\">{HtmlBuilder.Join(events.Take(EventsShown).Select(one => Row(wall, one)))}</ol>"));
        return html.Add($"</section>").ToMarkup();
    }

    private static Markup Row(CameraWall wall, EventNews one)
    {
        HtmlBuilder html = new();
        html.Add($"<li class=\"{(one.Label == "violent" ? "violent" : "")}\" id=\"event-{one.Id}\"><div class=\"row\"><span class=\"name\"><strong>{one.Camera}</strong> {When(one)}</span><span class=\"tag\">{Numbers.Percent(one.Peak)} {one.Label}</span></div>");
        if (one is EventEnded && one.Snapshot is { } snapshot && wall.FileOf(snapshot) is not null)
        {
            html.Add($"<img alt=\"Frames of the event\" loading=\"lazy\" src=\"{CameraEndpoints.SnapshotUrl(one.Id)}\">");
        }

        if (one is EventEnded && one.Clips.Any(clip => wall.FileOf(clip) is not null))
        {
            html.Add($"<details><summary>{(one.Clips.Count == 1 ? "Clip" : Invariant($"{one.Clips.Count} clips"))}</summary>");
            for (int number = 0; number < one.Clips.Count; number++)
            {
                html.Add($"<video controls preload=\"none\" src=\"{CameraEndpoints.ClipUrl(one.Id, number)}\"></video>");
            }

            html.Add($"</details>");
        }

        return html.Add($"</li>").ToMarkup();
    }

    private static string When(EventNews one)
    {
        DateTimeOffset start = one.Start.ToLocalTime();
        return one is EventEnded ended
            ? Invariant($"{start:yyyy-MM-dd HH:mm:ss} for {Math.Max(0, (ended.End - one.Start).TotalSeconds):0} s")
            : Invariant($"since {start:HH:mm:ss}");
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
