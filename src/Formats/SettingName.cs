namespace CudaTrainer.Formats;

/// <summary>
/// How texts call a setting of the program. Whoever throws or reports names the property of the options record, such as
/// <c>BatchSize</c>; whoever runs the program says how people write it there, such as the command line its option.
/// </summary>
internal static class SettingName
{
    /// <summary>From the property's name to what people know it by; set once, before anything runs. The name itself by default.</summary>
    public static Func<string, string> Style { get; set; } = property => property;

    /// <summary>For texts that tell people what to do.</summary>
    /// <param name="property">Name of a property of an options record.</param>
    public static string Of(string property) => Style(property);
}
