using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace CudaTrainer.Serve;

/// <summary>What every refusal is.</summary>
internal sealed record Refusal(JobError Error);

/// <summary>The OpenAPI description of every call, which follows from the routes themselves and from what they add to it here.</summary>
internal static class ApiDescription
{
    public const string Path = "/api/openapi.json";

    private const string TokenScheme = "token";

    public static void Add(IServiceCollection services, ServerParts parts) => services.AddOpenApi(options =>
    {
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "CudaTrainer",
                Version = parts.Version,
                Description = "How violent uploaded videos are. docs/serve.md explains the answers.",
            };

            // The address depends on who asks, and a proxy may stand between.
            document.Servers = [];
            if (parts.Tokens is not null)
            {
                document.Components ??= new OpenApiComponents();
                document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
                {
                    [TokenScheme] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer" },
                };
            }

            return Task.CompletedTask;
        });
        options.AddSchemaTransformer((schema, context, _) =>
        {
            // What is left out where it is null is not always there.
            foreach (JsonPropertyInfo property in context.JsonTypeInfo.Properties.Where(IsLeftOut))
            {
                schema.Required?.Remove(property.Name);
            }

            return Task.CompletedTask;
        });
        options.AddOperationTransformer((operation, context, _) =>
        {
            IList<object> metadata = context.Description.ActionDescriptor.EndpointMetadata;
            if (metadata.OfType<Body>().FirstOrDefault() is { } body)
            {
                operation.RequestBody = body.Describe();
            }

            operation.Responses!["default"] = new OpenApiResponse
            {
                Description = "Any other refusal",
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/json"] = new() { Schema = new OpenApiSchemaReference(nameof(Refusal), context.Document) },
                },
            };
            if (parts.Tokens is not null && !metadata.OfType<IAllowAnonymous>().Any())
            {
                operation.Security =
                    [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(TokenScheme, context.Document)] = [] }];
            }

            return Task.CompletedTask;
        });
    });

    /// <summary>Names refusals that a caller should be prepared for.</summary>
    public static RouteHandlerBuilder Refuses(this RouteHandlerBuilder route, params ReadOnlySpan<int> statuses)
    {
        foreach (int status in statuses)
        {
            route.Produces<Refusal>(status);
        }

        return route;
    }

    /// <summary>Describes a call that answers with a page.</summary>
    public static RouteHandlerBuilder DescribePage(this RouteHandlerBuilder route, string summary) =>
        route.WithSummary(summary).WithTags("pages").Produces<string>(StatusCodes.Status200OK, "text/html");

    /// <summary>Describes a call that takes a form and answers with the address of a page.</summary>
    public static RouteHandlerBuilder DescribeForm(this RouteHandlerBuilder route, string summary, Body body) =>
        route.WithSummary(summary).WithTags("pages").Produces(StatusCodes.Status302Found).WithMetadata(body);

    private static bool IsLeftOut(JsonPropertyInfo property) =>
        property.AttributeProvider?.GetCustomAttributes(typeof(JsonIgnoreAttribute), inherit: true) is [JsonIgnoreAttribute
        {
            Condition: JsonIgnoreCondition.WhenWritingNull,
        }];

    /// <summary>What is sent along, which handlers read themselves.</summary>
    /// <param name="Field">Of the form; null for none.</param>
    /// <param name="IsFile">Whether the field is a file.</param>
    /// <param name="TakesBytes">Whether the file may also be the body itself.</param>
    internal sealed record Body(string? Field = null, bool IsFile = false, bool TakesBytes = false)
    {
        public OpenApiRequestBody Describe()
        {
            Dictionary<string, OpenApiMediaType> content = [];
            if (Field is not null)
            {
                OpenApiSchema field = new() { Type = JsonSchemaType.String, Format = IsFile ? "binary" : "password" };
                content[IsFile ? "multipart/form-data" : "application/x-www-form-urlencoded"] = new OpenApiMediaType
                {
                    Schema = new OpenApiSchema
                    {
                        Type = JsonSchemaType.Object,
                        Properties = new Dictionary<string, IOpenApiSchema> { [Field] = field },
                        Required = new HashSet<string> { Field },
                    },
                };
            }

            if (TakesBytes)
            {
                content["application/octet-stream"] = new OpenApiMediaType();
            }

            return new OpenApiRequestBody { Required = content.Count > 0, Content = content };
        }
    }
}
