using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace CudaTrainer.Serve;

/// <summary>The form that exchanges a token for a cookie, and the button that gives the cookie back.</summary>
internal static class AccessEndpoints
{
    public const string LoginPath = "/login", LogoutPath = "/logout", TokenField = "token";

    private const int LargestForm = 16 << 10;

    /// <summary>Nothing without tokens.</summary>
    public static void Map(IEndpointRouteBuilder app, ServerParts parts)
    {
        if (parts.Tokens is not { } tokens)
        {
            return;
        }

        app.MapGet(LoginPath, () => parts.Frames.Login.Show())
            .AllowAnonymous().DescribePage("The form that asks for a token");
        app.MapPost(LoginPath, async (HttpContext context) =>
        {
            AccessTokens.Verdict verdict = tokens.Check(await TokenOf(context.Request), Access.ClientOf(context));
            parts.Metrics.CountLogin(verdict);
            if (!verdict.IsHeard)
            {
                throw Access.TooMany("Too many wrong tokens came from this address.");
            }

            if (verdict.Owner is null)
            {
                throw new ApiException(StatusCodes.Status401Unauthorized, "no_access", "That token is not one of this server's.");
            }

            await Access.Begin(context);
            return Results.Redirect("/");
        }).AllowAnonymous().DescribeForm("Exchanges a token for a cookie", new(TokenField))
            .Refuses(StatusCodes.Status401Unauthorized, StatusCodes.Status429TooManyRequests);
        app.MapPost(LogoutPath, async (HttpContext context) =>
        {
            await Access.End(context);
            return Results.Redirect(LoginPath);
        }).AllowAnonymous().DescribeForm("Gives the cookie back", new());
    }

    private static async Task<string> TokenOf(HttpRequest request)
    {
        request.HttpContext.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = LargestForm;
        try
        {
            IFormCollection form = await request.ReadFormAsync(new FormOptions { ValueLengthLimit = LargestForm, ValueCountLimit = 8 });
            return form[TokenField].ToString().Trim();
        }
        catch (Exception exception) when (exception is InvalidDataException or InvalidOperationException)
        {
            throw new ApiException(StatusCodes.Status400BadRequest, "bad_form", "The form cannot be read.");
        }
    }
}
