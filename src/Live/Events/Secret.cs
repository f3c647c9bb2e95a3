using System.Text;
using CudaTrainer.Engine;
using CudaTrainer.Formats;

namespace CudaTrainer.Live.Events;

/// <summary>Secrets come from files or the environment: what stands on a command line, everybody on the machine can read.</summary>
internal static class Secret
{
    private const int MostBytes = 4096;

    /// <param name="file">Comes first; null for none.</param>
    /// <param name="variable">Of the environment.</param>
    /// <param name="setting">The property that names the file.</param>
    /// <returns>Without the end of its line; null where there is none.</returns>
    /// <exception cref="RunException">The file cannot be read, or holds no secret.</exception>
    public static string? Read(string? file, string variable, string setting)
    {
        if (file is null)
        {
            return Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;
        }

        string option = SettingName.Of(setting);
        try
        {
            using FileStream stream = new(file, FileMode.Open, FileAccess.Read);
            byte[] bytes = new byte[MostBytes + 1];
            int count = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            string text = Encoding.UTF8.GetString(bytes, 0, count).TrimEnd('\r', '\n');
            return text.Length > 0 && count <= MostBytes ? text
                : throw new RunException($"{option}: '{file}' holds no secret, but {(count == 0 ? "nothing" : "something else")}.",
                    $"Put one line of at most {MostBytes} bytes into it.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"{option}: '{file}' cannot be read: {exception.Message.TrimEnd('.')}.",
                $"Give the file with the secret, or set {variable}.");
        }
    }
}
