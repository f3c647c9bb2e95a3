using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Training.Reporting;
using Microsoft.AspNetCore.Http;

namespace CudaTrainer.Serve;

/// <summary>
/// The pages. Each area of the site has its own files in the folder Page, <c>NAME.html</c>, <c>NAME.css</c> and <c>NAME.js</c>, of which
/// any may be missing; a page is one document of these, the common ones and a frame with the way from area to area.
/// </summary>
internal sealed class PageFrames
{
    private readonly Markup _navigation;

    /// <param name="hasCameras">Whether cameras are watched.</param>
    /// <param name="hasRun">Whether a training run is shown.</param>
    /// <param name="hasAccess">Whether people sign in, and so may want to sign out.</param>
    public PageFrames(bool hasCameras, bool hasRun, bool hasAccess)
    {
        // An area is a line here and one below.
        (string Path, string Name, bool IsThere)[] areas =
            [("/", "Upload", true), (CameraEndpoints.PagePath, "Cameras", hasCameras), (RunEndpoints.PagePath, "Run", hasRun)];
        _navigation = Navigation([.. areas.Where(area => area.IsThere).Select(area => (area.Path, area.Name))], hasAccess);
        Upload = Frame("Violence in videos", "/", areaScript: "upload", "upload");
        Plain = Frame("Violence in videos", "/", areaScript: null, "upload", "chart");
        Cameras = Frame("Cameras", CameraEndpoints.PagePath, areaScript: "cameras", "cameras", "chart");
        Run = Frame("Training run", RunEndpoints.PagePath, areaScript: "run", "run", "chart");
        Login = PageFrame.Load("Sign in", default, areaScript: null, "login");
    }

    /// <summary>Takes videos and shows their answers.</summary>
    public PageFrame Upload { get; }

    /// <summary>The same in plain HTML, for browsers without scripts.</summary>
    public PageFrame Plain { get; }

    /// <summary>Shows cameras and their events.</summary>
    public PageFrame Cameras { get; }

    /// <summary>Shows a training run.</summary>
    public PageFrame Run { get; }

    public PageFrame Login { get; }

    private PageFrame Frame(string title, string path, string? areaScript, params ReadOnlySpan<string> areas)
    {
        string link = $"href=\"{path}\"";
        Markup here = new(_navigation.Text.Replace(link, $"{link} aria-current=\"page\"", StringComparison.Ordinal));
        return PageFrame.Load(title, here, areaScript, areas);
    }

    private static Markup Navigation(IReadOnlyList<(string Path, string Name)> areas, bool hasAccess)
    {
        HtmlBuilder html = new();
        if (areas.Count > 1)
        {
            html.Add($"<nav aria-label=\"Pages\">");
            foreach ((string path, string name) in areas)
            {
                html.Add($"<a href=\"{path}\">{name}</a>");
            }

            html.Add($"</nav>");
        }

        if (hasAccess)
        {
            html.Add($"<form class=\"leave\" method=\"post\" action=\"{AccessEndpoints.LogoutPath}\"><button>Sign out</button></form>");
        }

        return html.ToMarkup();
    }
}

/// <summary>A page but for its content.</summary>
internal sealed class PageFrame
{
    private const string HeadMark = "<!--head-->", MainMark = "<!--main-->";

    private readonly string _start, _middle, _end, _policy;
    private readonly Markup _main;

    private PageFrame(string title, string start, string middle, string end, Markup main, string policy) =>
        (Title, _start, _middle, _end, _main, _policy) = (title, start, middle, end, main, policy);

    public string Title { get; }

    /// <param name="title">Of the document.</param>
    /// <param name="navigation">In the header.</param>
    /// <param name="areaScript">Of that area with the common one before it; null for a page without scripts.</param>
    /// <param name="areas">Whose styles it has; the first is the one whose content it has.</param>
    public static PageFrame Load(string title, Markup navigation, string? areaScript, params ReadOnlySpan<string> areas)
    {
        StringBuilder style = new(Resource("common.css"));
        foreach (string area in areas)
        {
            style.Append(area == "chart" ? Page.ChartStyle : Resource($"{area}.css"));
        }

        string script = areaScript is null ? string.Empty : Resource("common.js") + Resource($"{areaScript}.js");
        string html = Resource("frame.html")
            .Replace("<!--title-->", HtmlBuilder.Escape(title), StringComparison.Ordinal)
            .Replace("<!--navigation-->", navigation.Text, StringComparison.Ordinal)
            .Replace("/*style*/", style.ToString(), StringComparison.Ordinal)
            .Replace("<!--script-->", script.Length > 0 ? $"<script>{script}</script>" : string.Empty, StringComparison.Ordinal);
        int head = html.IndexOf(HeadMark, StringComparison.Ordinal), main = html.IndexOf(MainMark, StringComparison.Ordinal);

        // Exactly this style and script; pictures and calls to this server, forms to it, and the video that the page's user chose.
        string policy = $"default-src 'none'; {(script.Length > 0 ? $"script-src '{HashOf(script)}'; " : string.Empty)}" +
            $"style-src '{HashOf(style.ToString())}'; img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; " +
            "form-action 'self'; frame-ancestors 'none'";
        return new PageFrame(title, html[..head], html[(head + HeadMark.Length)..main], html[(main + MainMark.Length)..],
            new Markup(Resource($"{areas[0]}.html")), policy);
    }

    /// <summary>The page with the content of its area.</summary>
    public IResult Show() => Show(_main);

    /// <param name="main">The content.</param>
    /// <param name="refreshSeconds">After so many seconds a browser without scripts loads the page anew; 0 for never.</param>
    public IResult Show(Markup main, int refreshSeconds = 0) => new Answer(this, main, refreshSeconds);

    private static string HashOf(string text) => $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";

    private static string Resource(string name)
    {
        using Stream? stream = typeof(PageFrame).Assembly.GetManifestResourceStream(name);
        if (stream is null)
        {
            return string.Empty;
        }

        using StreamReader reader = new(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }

    private sealed class Answer(PageFrame frame, Markup main, int refreshSeconds) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            string refresh = refreshSeconds > 0
                ? $"<noscript><meta http-equiv=\"refresh\" content=\"{refreshSeconds}\"></noscript>"
                : string.Empty;
            byte[] body = Encoding.UTF8.GetBytes(string.Concat([frame._start, refresh, frame._middle, main.Text, frame._end]));
            HttpResponse response = httpContext.Response;
            response.ContentType = "text/html; charset=utf-8";
            response.ContentLength = body.Length;
            response.Headers.ContentSecurityPolicy = frame._policy;

            // With no-referrer browsers name no origin either, by which forms of this page are told from those of others.
            response.Headers["Referrer-Policy"] = "same-origin";
            await response.Body.WriteAsync(body, httpContext.RequestAborted);
        }
    }
}
