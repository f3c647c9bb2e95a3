using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace CudaTrainer.Serve;

/// <summary>
/// Who asks: a program by its token, a browser by a cookie that a token was exchanged for. Without tokens everybody may ask, and the cookie
/// only tells browsers apart.
/// </summary>
internal static class Access
{
    /// <summary>Policy of requests that bring videos.</summary>
    public const string UploadLimit = "uploads";

    private const string SessionScheme = "session", TokenScheme = "token", EitherScheme = "either";
    private const string OwnerClaim = "owner";
    private const int RetrySeconds = 60;

    public static void Add(IServiceCollection services, ServerParts parts)
    {
        // Keys live as long as this process: results do not live longer, and nothing is written to a disk.
        services.AddSingleton<IDataProtectionProvider, EphemeralDataProtectionProvider>();
        services.AddSingleton(parts.Time).AddWebEncoders();
        services.AddAuthenticationCore(options => options.DefaultScheme = EitherScheme);
        AuthenticationBuilder schemes = new AuthenticationBuilder(services)
            .AddPolicyScheme(EitherScheme, null, options => options.ForwardDefaultSelector =
                context => parts.Tokens is not null && context.Request.Headers.Authorization.Count > 0 ? TokenScheme : SessionScheme)
            .AddCookie(SessionScheme, options => Describe(options, parts.Options.Port));
        if (parts.Tokens is { } tokens)
        {
            services.AddSingleton(tokens).AddSingleton(parts.Metrics);
            schemes.AddScheme<AuthenticationSchemeOptions, TokenHandler>(TokenScheme, null);
        }

        services.AddAuthorization(options => options.FallbackPolicy = parts.Tokens is null
            ? null
            : new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
        services.AddRateLimiter(options =>
        {
            options.OnRejected = (_, _) => throw TooMany("Too many uploads in a short time.");
            options.AddPolicy(UploadLimit, context => RateLimitPartition.GetTokenBucketLimiter(
                ClientOf(context), _ => BucketOf(parts.Options.UploadsPerMinute)));
        });
    }

    /// <summary>What the uploads of whoever asks are listed under; null for a program without a token.</summary>
    public static string? OwnerOf(HttpContext context) => context.User.FindFirstValue(OwnerClaim);

    /// <summary>Where a request comes from.</summary>
    public static string ClientOf(HttpContext context) => context.Connection.RemoteIpAddress?.ToString() ?? string.Empty;

    /// <summary>Gives a browser a cookie unless it has one.</summary>
    public static async Task RememberBrowser(HttpContext context)
    {
        if (OwnerOf(context) is null)
        {
            await Begin(context);
        }
    }

    /// <summary>Begins a session that nobody else knows.</summary>
    public static async Task Begin(HttpContext context)
    {
        Claim owner = new(OwnerClaim, $"{SessionScheme}:{RandomNumberGenerator.GetHexString(32, lowercase: true)}");
        context.User = new ClaimsPrincipal(new ClaimsIdentity([owner], SessionScheme));
        await context.SignInAsync(SessionScheme, context.User);
    }

    public static Task End(HttpContext context) => context.SignOutAsync(SessionScheme);

    public static ApiException TooMany(string message) =>
        new(StatusCodes.Status429TooManyRequests, "too_many", $"{message} Try again in about {RetrySeconds} s.")
        { RetryAfter = RetrySeconds };

    private static TokenBucketRateLimiterOptions BucketOf(int uploadsPerMinute) => new()
    {
        TokenLimit = uploadsPerMinute,
        TokensPerPeriod = uploadsPerMinute,
        ReplenishmentPeriod = TimeSpan.FromMinutes(1),
    };

    private static void Describe(CookieAuthenticationOptions options, int port)
    {
        // Browsers do not tell ports apart: two servers of a machine would take each other's.
        options.Cookie.Name = $"cudatrainer-{port}";
        options.Cookie.HttpOnly = true;
        options.Cookie.SameSite = Microsoft.AspNetCore.Http.SameSiteMode.Strict;
        options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        options.ExpireTimeSpan = TimeSpan.FromHours(12);
        options.SlidingExpiration = true;
        options.Events.OnRedirectToLogin = options.Events.OnRedirectToAccessDenied = context =>
        {
            if (!Refusals.WantsPage(context.Request))
            {
                throw NoAccess(context.Response);
            }

            context.Response.Redirect(AccessEndpoints.LoginPath);
            return Task.CompletedTask;
        };
    }

    private static ApiException NoAccess(HttpResponse response)
    {
        response.Headers.WWWAuthenticate = "Bearer";
        return new ApiException(StatusCodes.Status401Unauthorized, "no_access",
            "This server asks for a token: send the header \"Authorization: Bearer TOKEN\".");
    }

    /// <summary>Programs send a token with every request.</summary>
    private sealed class TokenHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder,
        AccessTokens tokens, ServeMetrics metrics) : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        private const string Prefix = "Bearer ";

        protected override Task<AuthenticateResult> HandleAuthenticateAsync()
        {
            string header = Request.Headers[HeaderNames.Authorization].ToString();
            if (!header.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
            {
                return Task.FromResult(AuthenticateResult.NoResult());
            }

            AccessTokens.Verdict verdict = tokens.Check(header[Prefix.Length..].Trim(), ClientOf(Context));
            metrics.CountLogin(verdict);
            if (!verdict.IsHeard)
            {
                throw TooMany("Too many wrong tokens came from this address.");
            }

            if (verdict.Owner is not { } owner)
            {
                return Task.FromResult(AuthenticateResult.Fail("wrong token"));
            }

            ClaimsIdentity identity = new([new Claim(OwnerClaim, $"{TokenScheme}:{owner}")], TokenScheme);
            return Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), TokenScheme)));
        }

        protected override Task HandleChallengeAsync(AuthenticationProperties properties) => throw NoAccess(Response);
    }
}
