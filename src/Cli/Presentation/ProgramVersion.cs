using System.Reflection;

namespace CudaTrainer.Cli.Presentation;

internal static class ProgramVersion
{
    /// <summary>The version, and the commit that it was built from.</summary>
    public static string Text
    {
        get
        {
            string[] parts = typeof(ProgramVersion)
                .Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+');
            return parts.Length == 2 && parts[1].Length > 9 ? $"{parts[0]}+{parts[1][..9]}" : parts[0];
        }
    }
}
