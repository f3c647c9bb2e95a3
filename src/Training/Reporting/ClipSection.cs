using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>Single clips: what the model looked at, and where it was most wrong.</summary>
internal static class ClipSection
{
    private const double BarHeight = 64, TextHeight = 18;

    /// <summary>Width of a film that fills the page.</summary>
    private const int LeastFullWidth = 760;

    /// <param name="frames">Sampled from each clip.</param>
    /// <param name="classes">That the run tells apart.</param>
    public static Markup Render(ChosenClips clips, ReportPictures pictures, int frames, ClassList classes)
    {
        var html = new HtmlBuilder();
        bool hasAttention = clips.Filmed.Any(clip => clip.Attention.Length > 0);
        if (hasAttention || pictures.Films.Count > 0)
        {
            html.Add($"<p>{(hasAttention ? "Bars show how much each frame counted in the model's answer (attention); they add up to 1, and the dashed line is where all frames would count the same. Attention says where the model looked, not why it decided." : "The frames the model was given. This model has no attention that would say which of them counted.")}</p>");
            AddFilms(html, "The worst mistakes", clips.Mistakes.Take(3), clips, pictures, frames, classes);
            AddFilms(html, "The most uncertain answers", clips.Uncertain, clips, pictures, frames, classes);
            AddFilms(html, "The most certain right answers", clips.Best, clips, pictures, frames, classes);
        }

        html.Add($"<h3>{(clips.Mistakes.Count > ChosenClips.ShownMistakes ? $"The {ChosenClips.ShownMistakes} worst of {clips.Mistakes.Count} mistakes" : "All mistakes")} on {clips.Split}</h3>");
        if (clips.Mistakes.Count == 0)
        {
            html.Add($"<p>There are none: {(classes.IsViolence ? $"at threshold {Numbers.Fraction(clips.Threshold)} " : string.Empty)}every clip of the split is called rightly.</p>");
            return html.ToMarkup();
        }

        bool hasPictures = clips.Mistakes.Take(ChosenClips.ShownMistakes).Any(clip => pictures.Stills.ContainsKey(clip.Path));
        string[] columns = ["clip", "it is", "it was called", classes.IsViolence ? ">p(violent)" : ">p(what it is)", ">loss"];
        html.Add(Page.Table("Mistakes, the highest loss first", hasPictures ? [.. columns, "frame", "hard to see"] : columns,
            clips.Mistakes.Take(ChosenClips.ShownMistakes).Select(clip => (IReadOnlyList<Markup>)
        [
            Page.Path(clip.Path),
            Tag(classes, clip.Label),
            Tag(classes, clip.CalledAt(clips.Threshold)),
            Page.Text(Numbers.Fraction(classes.IsViolence ? clip.Violent : clip.TrueProbability)),
            Page.Text(Numbers.Loss(clip.Loss)),
            .. hasPictures
                ? [Still(clip, pictures), Page.Text(Reasons(clip, pictures, frames) is { Length: > 0 } reasons ? reasons : "–")]
                : Array.Empty<Markup>(),
        ]), hidesCaption: true));
        if (hasPictures)
        {
            html.Add($"<p class=\"note\">Hard to see: brightness below {Numbers.Percent(ClipTraits.Dark)}, contrast below {Numbers.Percent(ClipTraits.Flat)}, less than {Numbers.Percent(ClipTraits.Still)} of the pixels changing between sampled frames, fewer than {ClipTraits.SmallRows} rows, shorter than {ClipTraits.Brief} s or than the frames sampled. Such a clip is harder to judge; that this is why it was called wrongly is not known.</p>");
        }

        html.Add($"<p class=\"note\">Every clip of val and test with its answer is in {Page.Path("predictions_val.csv")} and {Page.Path("predictions_test.csv")}.</p>");
        return html.ToMarkup();
    }

    public static Markup Tag(ClassList classes, int label) => classes.IsViolence
        ? HtmlBuilder.Piece($"<span class=\"tag {classes[label]}\">{classes[label]}</span>")
        : HtmlBuilder.Piece($"<span class=\"tag\">{classes[label]}</span>");

    private static Markup Still(ClipPrediction clip, ReportPictures pictures) => pictures.Stills.TryGetValue(clip.Path, out Picture? still)
        ? HtmlBuilder.Piece(
            $"<img src=\"{still.Source}\" width=\"{still.Width}\" height=\"{still.Height}\" alt=\"A frame of {clip.Path}\">")
        : Page.Text("–");

    private static string Reasons(ClipPrediction clip, ReportPictures pictures, int frames) =>
        pictures.Traits.TryGetValue(clip.Path, out ClipTraits? traits) ? string.Join(", ", traits.Reasons(frames)) : string.Empty;

    private static void AddFilms(HtmlBuilder html, string heading, IEnumerable<ClipPrediction> clips, ChosenClips chosen,
        ReportPictures pictures, int frames, ClassList classes)
    {
        ClipPrediction[] shown = [.. clips.Where(clip => clip.Attention.Length > 0 || pictures.Films.ContainsKey(clip.Path))];
        if (shown.Length == 0)
        {
            return;
        }

        html.Add($"<h3>{heading}</h3>");
        foreach (ClipPrediction clip in shown)
        {
            bool right = clip.IsRightAt(chosen.Threshold);
            string reasons = Reasons(clip, pictures, frames);
            html.Add($"<figure class=\"clip\"><figcaption>{Page.Path(clip.Path)}<span>{Tag(classes, clip.Label)}</span><span><span class=\"tag {(right ? "right" : "wrong")}\">called {(right ? "rightly" : "wrongly")}</span></span><span class=\"soft\">{(classes.IsViolence ? $"p(violent) {Numbers.Fraction(clip.Violent)}" : $"p({classes[clip.Label]}) {Numbers.Fraction(clip.TrueProbability)}")}, loss {Numbers.Loss(clip.Loss)}</span>{(reasons.Length > 0 ? HtmlBuilder.Piece($"<span class=\"soft\">{reasons}</span>") : Page.Text(string.Empty))}</figcaption>");
            html.Add($"<div class=\"film\" role=\"region\" aria-label=\"Frames of {clip.Path}\" tabindex=\"0\">{Film(clip, pictures.Films.GetValueOrDefault(clip.Path))}</div></figure>");
        }
    }

    /// <summary>Attention as bars, above the frames they belong to.</summary>
    private static Markup Film(ClipPrediction clip, Picture? film)
    {
        int frames = clip.Attention.Length;
        double width = film?.Width ?? Math.Max(LeastFullWidth, frames * 40), bars = frames > 0 ? BarHeight + TextHeight : 0, height = bars
            + (film?.Height ?? 0) + (film is null ? TextHeight : 0);
        double cell = width / Math.Max(1, frames), most = frames > 0 ? Math.Max(clip.Attention.Max(), 1e-9) : 1;
        int peak = frames > 0 ? Array.IndexOf(clip.Attention, clip.Attention.Max()) : 0;
        string label = frames > 0
            ? $"Attention over {frames} frames; the most, {Numbers.Percent(clip.Attention[peak])}, on frame {peak + 1}."
            : "Frames of the clip, from first to last.";
        var html = new HtmlBuilder();
        html.Add($"<svg{(width < LeastFullWidth ? " class=\"few\"" : string.Empty)} viewBox=\"0 0 {width} {height:0.##}\" role=\"img\" aria-label=\"{label}\">");
        for (int frame = 0; frame < frames; frame++)
        {
            double bar = BarHeight * clip.Attention[frame] / most, x = frame * cell;
            html.Add($"<rect class=\"bar s0{(frame == peak ? " peak" : string.Empty)}\" x=\"{x + 2:0.##}\" y=\"{bars - bar:0.##}\" width=\"{Math.Max(1, cell - 4):0.##}\" height=\"{bar:0.##}\"><title>frame {frame + 1}: {Numbers.Percent(clip.Attention[frame])}</title></rect>");
            if (frame == peak || cell >= 40)
            {
                html.Add($"<text text-anchor=\"middle\" x=\"{Math.Clamp(x + (cell / 2), 16, width - 16):0.##}\" y=\"{bars - bar - 5:0.##}\">{100 * clip.Attention[frame]:0.#} %</text>");
            }
        }

        if (frames > 0)
        {
            double even = bars - (BarHeight / frames / most);
            html.Add($"<line class=\"diagonal\" x1=\"0\" y1=\"{even:0.##}\" x2=\"{width}\" y2=\"{even:0.##}\"><title>all frames alike: {Numbers.Percent(1.0 / frames)}</title></line>");
        }

        if (film is not null)
        {
            html.Add($"<image href=\"{film.Source}\" x=\"0\" y=\"{bars:0.##}\" width=\"{film.Width}\" height=\"{film.Height}\" preserveAspectRatio=\"none\"/>");
        }
        else
        {
            html.Add($"<text x=\"2\" y=\"{height - 4:0.##}\">first frame</text><text text-anchor=\"end\" x=\"{width - 2}\" y=\"{height - 4:0.##}\">last frame</text>");
        }

        return html.Add($"</svg>").ToMarkup();
    }
}
