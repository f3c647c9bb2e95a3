using CudaTrainer.Engine;

namespace CudaTrainer.Training.RunFiles;

/// <summary>The model that comes with the program: docs/bundled-model.md.</summary>
public static class BundledModel
{
    /// <summary>What people write in place of a file.</summary>
    public const string Name = "bundled";

    /// <summary>Beside the program.</summary>
    private static string File => System.IO.Path.Combine(AppContext.BaseDirectory, "bundled", "motion.safetensors");

    /// <summary>The file that people mean.</summary>
    /// <param name="path">A file, or <see cref="Name"/>.</param>
    /// <exception cref="RunException">The model does not lie beside the program.</exception>
    public static string Resolve(string path) => path != Name ? path
        : System.IO.File.Exists(File) ? File
        : throw new RunException($"The model that comes with the program is missing: there is no '{File}'.",
            "Install the program anew, or give a model of your own.");
}
