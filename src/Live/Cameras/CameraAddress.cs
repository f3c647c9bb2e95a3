using System.Net;
using System.Text.RegularExpressions;

namespace CudaTrainer.Live.Cameras;

/// <summary>Where a camera is. What is printed of it has no user name and no password.</summary>
public sealed partial class CameraAddress
{
    private static readonly string[] Schemes = ["rtsp", "rtsps", "http", "https", "udp", "tcp"];

    private readonly string _credentials;

    private CameraAddress(string text, string target, CameraKind kind, string credentials = "") =>
        (Text, Target, Kind, _credentials) = (text, target, kind, credentials);

    public CameraKind Kind { get; }

    /// <summary>As it may be shown: without credentials.</summary>
    public string Text { get; }

    /// <summary>As FFmpeg opens it.</summary>
    internal string Target { get; }

    /// <summary>Whether a connection that ends is made again.</summary>
    public bool IsEndless => Kind is CameraKind.Network or CameraKind.Device;

    /// <summary>An address with its scheme, a device below /dev, - for standard input, or a file.</summary>
    /// <exception cref="FormatException">It is none, with what it should be.</exception>
    public static CameraAddress Parse(string address)
    {
        if (address == "-")
        {
            return new CameraAddress("standard input", "pipe:0", CameraKind.Pipe);
        }

        if (address.StartsWith("/dev/", StringComparison.Ordinal))
        {
            return new CameraAddress(address, address, CameraKind.Device);
        }

        if (IsBareLogin(address))
        {
            throw new FormatException(
                $"'{Shown(address)}' has a user name and a password, but no scheme: did you mean rtsp://…? A file of that name is ./…");
        }

        int colon = address.IndexOf("://", StringComparison.Ordinal);
        if (colon < 0)
        {
            return address.Length > 0 && !address.Contains('\0')
                ? new CameraAddress(Redact(address), address, CameraKind.File)
                : throw new FormatException("an address is empty");
        }

        string scheme = address[..colon].ToLowerInvariant();
        (string shown, string credentials) = Split(address, colon + 3);
        if (address.FirstOrDefault(letter => letter is <= ' ' or '"' or '<' or '>' or '\u007f') is var odd and not '\0')
        {
            throw new FormatException($"'{shown}' has a character that must be written as %{(int)odd:X2}");
        }

        if (scheme == "file")
        {
            throw new FormatException($"'{shown}': give a file by its path, without file://");
        }

        if (!Schemes.Contains(scheme))
        {
            throw new FormatException($"'{shown}': cameras are reached by {string.Join(", ", Schemes)}, not by {scheme}");
        }

        Match place = Host().Match(shown[(colon + 3)..]);
        if (shown[(colon + 3)..].StartsWith('[') && !IPAddress.TryParse(place.Groups["host"].Value, out _))
        {
            throw new FormatException(
                $"'{shown}': what begins with [ is no IPv6 address; one is written as in rtsp://[2001:db8::1]:554/live");
        }

        if (place.Groups["host"].Length == 0 && scheme != "udp")
        {
            throw new FormatException($"'{shown}' names no host");
        }

        if (place.Groups["port"] is { Success: true, Value: var port } && !(ushort.TryParse(port, out ushort number) && number > 0))
        {
            throw new FormatException($"'{shown}': the port must be a number from 1 to 65535");
        }

        return new CameraAddress(shown, scheme + address[colon..], CameraKind.Network, credentials);
    }

    /// <summary>A text without the user names and passwords of addresses in it, before a host or as parameters.</summary>
    public static string Redact(string text) => Parameters().Replace(
        BareCredentials().Replace(Credentials().Replace(text, "://"), "***@"), "${name}=***");

    /// <summary>
    /// What should be an address, as it may be shown whatever is wrong with it. Unlike in a text about it, blanks and quotes are part of a
    /// password, and one may stand without a scheme before it or a host behind it.
    /// </summary>
    internal static string Shown(string address) => IsBareLogin(address) ? $"***{address[address.LastIndexOf('@')..]}"
        : address.IndexOf("://", StringComparison.Ordinal) is >= 0 and var colon ? Split(address, colon + 3).Shown
        : Redact(address);

    /// <summary>
    /// Whether a text seems to hold a user name and a password although it is no address. A path that looks so begins with / or ./.
    /// </summary>
    internal static bool IsBareLogin(string text) => BareLogin().IsMatch(text);

    /// <summary>A text about this camera without what is secret in its address.</summary>
    public string Hide(string text)
    {
        text = text.Replace(Target, Text, StringComparison.Ordinal);
        return Redact(_credentials.Length > 0 ? text.Replace($"{_credentials}@", "", StringComparison.Ordinal) : text);
    }

    public override string ToString() => Text;

    /// <summary>
    /// An address as it may be shown, and its credentials. What is before the last @ of the host's part are these; where there is none, but
    /// what looks like a port is no number, a password has a slash in it. Without any @ it may be a password that lacks its host.
    /// </summary>
    private static (string Shown, string Credentials) Split(string address, int start)
    {
        int end = address.IndexOfAny(['/', '?', '#'], start), colon;
        end = end < 0 ? address.Length : end;
        int at = address.LastIndexOf('@', end - 1, end - start);
        if (at < 0 && (colon = address.IndexOf(':', start, end - start)) >= 0 && address[start] != '['
            && address.AsSpan(colon + 1, end - colon - 1).ContainsAnyExceptInRange('0', '9'))
        {
            at = address.LastIndexOf('@');
        }

        (string rest, string credentials) = at < start ? (address, "") : (address[..start] + address[(at + 1)..], address[start..at]);
        return (Redact(WrongPort().Replace(rest, "***")), credentials);
    }

    // A password with a slash in it is no part of a valid address, and yet must not be shown.
    [GeneratedRegex(@"://(?:[^/?#\s'""]*@|(?!\[)[^/?#\s'"":]*:(?!\d+(?:[/?#\s'""]|$))[^\s'""]*@)")]
    private static partial Regex Credentials();

    [GeneratedRegex(@"(?<=^|[\s'""(])(?![^\s'""]*://)[^\s'""/:@]+:[^\s'""]*@(?=[^\s'""])")]
    private static partial Regex BareCredentials();

    [GeneratedRegex(@"(?<=^[^/]*://(?!\[[0-9A-Fa-f:.]*\])[^/?#:]*:)(?!\d{1,5}(?:[/?#]|$)).+$", RegexOptions.Singleline)]
    private static partial Regex WrongPort();

    [GeneratedRegex(@"^(?![A-Za-z][A-Za-z0-9+.-]*://|\.{0,2}/(?!/)).*:.*@", RegexOptions.Singleline)]
    private static partial Regex BareLogin();

    [GeneratedRegex(@"(?<name>[?&;/_](?:user|usr|username|login|loginuse|pass|passwd|password|passphrase|pwd|loginpas|\w*token|" +
        @"auth|\w*key|secret|sig|signature))=(?:(?!_[A-Za-z]+=)[^&;/#\s'""])*", RegexOptions.IgnoreCase)]
    private static partial Regex Parameters();

    [GeneratedRegex(@"^([^/?#]*@)?(?<host>\[[0-9A-Fa-f:.]+\]|[^/?#:@]*)(:(?<port>[^/?#]*))?")]
    private static partial Regex Host();
}

/// <summary>How a camera is read.</summary>
public enum CameraKind
{
    Network,
    Device,
    File,
    Pipe,
}
