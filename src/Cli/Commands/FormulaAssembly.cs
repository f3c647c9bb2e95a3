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
        return LoadFile(sources.Build());
    }

    private static Assembly LoadFile(string file)
    {
        if (!File.Exists(file))
        {
            throw new RunException($"'{file}' does not exist.", "Give the .dll that 'dotnet build' has left in bin/.");
        }

        try
        {
            var assembly = Assembly.LoadFrom(Path.GetFullPath(file));
            IReadOnlyList<Type> formulas = FormulaTypes.In(assembly);
            if (formulas.Count == 0)
            {
                throw new RunException($"'{file}' has no formulas.", Rule);
            }

            foreach (Type formula in formulas)
            {
                if (FormulaTypes.ProblemOf(formula) is { } problem)
                {
                    throw new RunException($"{formula.Name} in '{file}' {problem}.", Rule);
                }

                _ = FormulaTypes.ExampleOf(formula);
            }

            return assembly;
        }
        catch (BadImageFormatException)
        {
            throw new RunException($"'{file}' is no .NET assembly.", "Give the .dll that 'dotnet build' has left in bin/.");
        }
        catch (TargetInvocationException exception)
        {
            throw new RunException($"A formula in '{file}' throws when it is made: {exception.InnerException?.Message}",
                "Its constructor, and the property Example if it has one, must return.");
        }
        catch (ReflectionTypeLoadException exception)
        {
            throw new RunException($"'{file}' does not fit this program: {exception.LoaderExceptions.FirstOrDefault()?.Message}",
                $"Build it for .NET {Environment.Version.Major} and against the CudaTrainer of this program.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"'{file}' cannot be loaded: {exception.Message}", Rule);
        }
    }
}
