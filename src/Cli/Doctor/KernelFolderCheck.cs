using CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Cli.Doctor;

/// <summary>The CUDA sources that take the place of embedded ones; nothing where none are asked for.</summary>
internal static class KernelFolderCheck
{
    private const string Name = "CUDA sources";

    public static IEnumerable<Check> Run()
    {
        Check? check = Look();
        return check is null ? [] : [check];
    }

    private static Check? Look()
    {
        try
        {
            if (KernelLibrary.Folder is not { } folder)
            {
                return null;
            }

            string[] files = [.. Directory.EnumerateFiles(folder).Select(path => Path.GetFileName(path)).Where(IsSource).Order(StringComparer.Ordinal)];
            string[] unknown = [.. files.Where(file => !KernelLibrary.Files.Contains(file) && !KernelLibrary.Headers.ContainsKey(file))];
            string found = $"{KernelLibrary.FolderVariable}: {(files.Length == 0 ? "no sources" : string.Join(", ", files))} from {folder}";
            return unknown.Length == 0 && files.Length > 0
                ? Check.Ok(Name, found)
                : Check.Warn(Name, found, unknown.Length > 0 ? $"no embedded source is named {string.Join(" or ", unknown)}; the names must be the same" : "copy the .cu file to edit into it");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Check.Fail(Name, exception.Message, $"correct {KernelLibrary.FolderVariable}, or unset it");
        }
    }

    private static bool IsSource(string file) => Path.GetExtension(file) is ".cu" or ".cuh";
}
