using System.ComponentModel;
using System.Diagnostics;
using System.Security;
using CudaTrainer.Engine;

namespace CudaTrainer.Cli.Commands;

/// <summary>
/// A folder of C# files as an assembly. The .NET SDK compiles them, which whoever writes C# has: a compiler within the program would cost
/// everybody else its size.
/// </summary>
internal sealed class FormulaSources(string folder) : IDisposable
{
    private const string Sdk = "Install the .NET 10 SDK, or build the assembly elsewhere and give its .dll.";

    private readonly string _work = Directory.CreateTempSubdirectory("cudatrainer-ops-").FullName;

    /// <summary>Compiles the files.</summary>
    /// <returns>The assembly, which lives as long as this.</returns>
    /// <exception cref="RunException">There are none, there is no SDK, or they do not compile.</exception>
    public string Build()
    {
        if (!Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories).Any())
        {
            throw new RunException($"'{folder}' has no .cs files.", "Give a folder of C# files with formulas, or an assembly.");
        }

        string project = Path.Combine(_work, "Ops.csproj"), sources = SecurityElement.Escape(Path.GetFullPath(folder))!;
        File.WriteAllText(project, $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>net{Environment.Version.Major}.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <Nullable>enable</Nullable>
                <EnableDefaultCompileItems>false</EnableDefaultCompileItems>
              </PropertyGroup>
              <ItemGroup>
                <Compile Include="{sources}/**/*.cs" Exclude="{sources}/**/bin/**;{sources}/**/obj/**" />
                <Reference Include="{SecurityElement.Escape(AppContext.BaseDirectory)}CudaTrainer.Kernels.dll" />
              </ItemGroup>
            </Project>
            """);
        string[] lines = Run("build", project, "-c", "Release", "-o", Path.Combine(_work, "out"), "-v", "quiet", "-nologo");
        string assembly = Path.Combine(_work, "out", "Ops.dll");
        if (File.Exists(assembly))
        {
            return assembly;
        }

        string[] errors = [.. lines.Where(line => line.Contains(": error ", StringComparison.Ordinal)).Select(Shortened).Distinct()];
        throw errors.Length == 0
            ? new RunException($"'{folder}' cannot be built: {string.Join(' ', lines.Take(3))}", Sdk)
            : new RunException($"'{folder}' does not compile: {errors[0]}",
                errors.Length == 1 ? "docs/custom-ops.md has an example." : $"{errors.Length - 1} more: {string.Join("; ", errors[1..])}");
    }

    public void Dispose() => Directory.Delete(_work, recursive: true);

    /// <summary>A message of the compiler without the folder and the project.</summary>
    private string Shortened(string line)
    {
        string text = line.Trim().Replace(Path.GetFullPath(folder) + Path.DirectorySeparatorChar, string.Empty, StringComparison.Ordinal);
        int project = text.LastIndexOf(" [", StringComparison.Ordinal);
        return project < 0 ? text : text[..project];
    }

    private static string[] Run(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["DOTNET_NOLOGO"] = "1";
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (output + errors.Result).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        }
        catch (Win32Exception)
        {
            throw new RunException("There is no 'dotnet' to compile C# files with.", Sdk);
        }
    }
}
