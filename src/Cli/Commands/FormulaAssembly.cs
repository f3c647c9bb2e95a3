using System.Reflection;
using CudaTrainer.Engine;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Cli.Commands;

/// <summary>Formulas that somebody gives: an assembly, or a folder of sources.</summary>
internal static class FormulaAssembly
{
    private const string Rule = "A formula is a structure that implements IFormula1, 2, 3 or 4, or IRowFormula (docs/custom-ops.md).";

    /// <exception cref="RunException">It is no assembly for this program, or has no formula, or one that cannot be compiled.</exception>
    public static Assembly Load(string path)
    {
        if (!Directory.Exists(path))
        {
            return LoadFile(path);
        }

        using FormulaSources sources = new(path);
        return LoadFile(sources.Build(), path);
    }

    /// <param name="name">What messages call it, where that is not the file.</param>
    private static Assembly LoadFile(string file, string? name = null)
    {
        name ??= file;
        if (!File.Exists(file))
        {
            throw new RunException($"'{name}' does not exist.", "Give the .dll that 'dotnet build' has left in bin/.");
        }

        try
        {
            var assembly = Assembly.LoadFrom(Path.GetFullPath(file));
            IReadOnlyList<Type> formulas = FormulaTypes.In(assembly);
            if (formulas.Count == 0)
            {
                throw new RunException($"'{name}' has no formulas.", Rule);
            }

            foreach (Type formula in formulas)
            {
                if (ProblemOf(formula) is { } problem)
                {
                    throw new RunException($"{formula.Name} in '{name}' {problem}.", Rule);
                }
            }

            return assembly;
        }
        catch (BadImageFormatException)
        {
            throw new RunException($"'{name}' is no .NET assembly.", "Give the .dll that 'dotnet build' has left in bin/.");
        }
        catch (ReflectionTypeLoadException exception)
        {
            throw new RunException($"'{name}' does not fit this program: {exception.LoaderExceptions.FirstOrDefault()?.Message}",
                $"Build it for .NET {Environment.Version.Major} and against the CudaTrainer of this program.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"'{name}' cannot be loaded: {exception.Message}", Rule);
        }
    }

    private static string? ProblemOf(Type formula)
    {
        try
        {
            return FormulaTypes.ProblemOf(formula);
        }
        catch (TargetInvocationException exception)
        {
            return $"throws when it is made or computed: {exception.GetBaseException().Message.TrimEnd('.')}";
        }
    }
}
