using System.Security.Cryptography;
using System.Text;

namespace CudaTrainer.Serve;

/// <summary>The page, one document with its style and script in it.</summary>
internal sealed class WebPage
{
    private WebPage(byte[] html, string contentSecurityPolicy) => (Html, ContentSecurityPolicy) = (html, contentSecurityPolicy);

    public byte[] Html { get; }

    /// <summary>
    /// Allows this very style and script, pictures and calls to this server, and the video that the page's user chose; nothing else.
    /// </summary>
    public string ContentSecurityPolicy { get; }

    public static WebPage Load()
    {
        string style = Resource("page.css"), script = Resource("page.js");
        string html = Resource("page.html").Replace("/*style*/", style, StringComparison.Ordinal)
            .Replace("/*script*/", script, StringComparison.Ordinal);
        string policy = $"default-src 'none'; script-src '{HashOf(script)}'; style-src '{HashOf(style)}'; img-src 'self' data:; media-src blob:; connect-src 'self'; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        return new WebPage(Encoding.UTF8.GetBytes(html), policy);
    }

    private static string HashOf(string text) => $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";

    private static string Resource(string name)
    {
        using Stream stream = typeof(WebPage).Assembly.GetManifestResourceStream(name)!;
        using StreamReader reader = new(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
