using System.Security.Cryptography;
using System.Text;
using System.Threading.RateLimiting;
using CudaTrainer.Engine;
using CudaTrainer.Formats;

namespace CudaTrainer.Serve;

/// <summary>
/// The tokens that let somebody in, out of a file with one on each line; only their hashes are kept. An address that guesses is not
/// listened to for a while.
/// </summary>
internal sealed class AccessTokens : IDisposable
{
    /// <summary>Wrong tokens of one address in a minute, after which none of its tokens is looked at until the minute is over.</summary>
    internal const int MostFailures = 10;

    private const int ShortestToken = 16;

    private readonly byte[][] _hashes;
    private readonly PartitionedRateLimiter<string> _failures = PartitionedRateLimiter.Create<string, string>(client =>
        RateLimitPartition.GetFixedWindowLimiter(client,
            _ => new FixedWindowRateLimiterOptions { PermitLimit = MostFailures, Window = TimeSpan.FromMinutes(1) }));

    private readonly Lock _lock = new();

    private AccessTokens(byte[][] hashes) => _hashes = hashes;

    /// <summary>Letters of a token's hash name whoever uses it, and say nothing of it.</summary>
    /// <param name="Owner">Null where the token is wrong.</param>
    /// <param name="IsHeard">Whether it was looked at.</param>
    public readonly record struct Verdict(string? Owner, bool IsHeard);

    /// <summary>Reads a file of tokens. Empty lines and lines that begin with # are passed over.</summary>
    /// <exception cref="RunException">There is no such file, none in it, or one that could be guessed.</exception>
    public static AccessTokens Load(string file)
    {
        string setting = SettingName.Of(nameof(ServeOptions.Token));
        const string hint = "Write a random token on a line of its own, for example by: openssl rand -hex 32";
        string[] lines;
        try
        {
            lines = File.ReadAllLines(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"{setting}: '{file}' cannot be read: {exception.Message}", hint, exception);
        }

        List<byte[]> hashes = [];
        for (int i = 0; i < lines.Length; i++)
        {
            string token = lines[i].Trim();
            if (token.Length == 0 || token.StartsWith('#'))
            {
                continue;
            }

            if (token.Length < ShortestToken || !token.All(letter => letter is > ' ' and <= '~'))
            {
                // The message does not repeat it.
                throw new RunException(
                    $"{setting}: line {i + 1} of '{file}' is no token: {ShortestToken} or more letters, digits and signs without spaces " +
                        "are expected.", hint);
            }

            hashes.Add(HashOf(token));
        }

        return hashes.Count > 0
            ? new AccessTokens([.. hashes])
            : throw new RunException($"{setting}: '{file}' has no token in it.", hint);
    }

    /// <summary>Whether other users of this machine can read a file.</summary>
    public static bool IsOpenToOthers(string file) =>
        !OperatingSystem.IsWindows() && (File.GetUnixFileMode(file) & (UnixFileMode.GroupRead | UnixFileMode.OtherRead)) != 0;

    /// <param name="client">The address that it comes from.</param>
    public Verdict Check(string token, string client)
    {
        byte[] hash = HashOf(token);

        // As one step: many guesses at once must not each find the last permit there.
        lock (_lock)
        {
            if (_failures.GetStatistics(client) is { CurrentAvailablePermits: <= 0 })
            {
                return new Verdict(null, IsHeard: false);
            }

            bool isKnown = false;
            foreach (byte[] known in _hashes)
            {
                // All of them, so that the time says nothing.
                isKnown |= CryptographicOperations.FixedTimeEquals(known, hash);
            }

            if (!isKnown)
            {
                _failures.AttemptAcquire(client).Dispose();
            }

            return new Verdict(isKnown ? Convert.ToHexStringLower(hash.AsSpan(0, 8)) : null, IsHeard: true);
        }
    }

    public void Dispose() => _failures.Dispose();

    private static byte[] HashOf(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}
