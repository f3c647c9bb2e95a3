using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace CudaTrainer.Kernels.Cpu.Simd;

/// <summary>The instruction-set levels that kernels exist for, narrowest first.</summary>
public enum SimdLevel
{
    V128,
    V256,
    V512,
}

/// <summary>Chooses the level once a process: the best one the machine has, or the one that <c>CUDATRAINER_SIMD</c> names.</summary>
internal static class SimdSelection
{
    public const string Variable = "CUDATRAINER_SIMD";

    /// <summary>Every level that this machine can run, best first.</summary>
    public static IReadOnlyList<SimdLevel> Available { get; } =
        [.. Enum.GetValues<SimdLevel>().Where(IsSupported).OrderDescending()];

    /// <summary>The level in force.</summary>
    /// <exception cref="InvalidOperationException">The variable names an unknown level, or one this machine lacks.</exception>
    public static SimdLevel Current { get; } = Select(Environment.GetEnvironmentVariable(Variable));

    public static bool IsSupported(SimdLevel level) => level switch
    {
        SimdLevel.V512 => Avx512F.IsSupported,
        SimdLevel.V256 => Avx2.IsSupported && Fma.IsSupported,
        _ => Vector128.IsHardwareAccelerated,
    };

    internal static SimdLevel Select(string? requested)
    {
        if (string.IsNullOrWhiteSpace(requested))
        {
            return Available[0];
        }

        if (!Enum.TryParse(requested, ignoreCase: true, out SimdLevel level) || !Enum.IsDefined(level))
        {
            throw new InvalidOperationException($"{Variable}={requested} is not a SIMD level; use v128, v256 or v512.");
        }

        return IsSupported(level)
            ? level
            : throw new InvalidOperationException(
                $"{Variable}={requested} asks for a level this machine lacks; it has {string.Join(", ", Available).ToLowerInvariant()}.");
    }
}
