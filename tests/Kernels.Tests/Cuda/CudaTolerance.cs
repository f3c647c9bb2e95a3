using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>How closely kernels agree with double precision, and the cases that tests run through.</summary>
internal static class CudaTolerance
{
    /// <summary>Around every size at which a kernel changes its way of working: vectors, warps, tiles.</summary>
    public static readonly int[] Lengths = [0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 127, 128, 129, 257, 1_000, 4_099];

    /// <summary>Half precision rounds an output by up to 2⁻¹¹.</summary>
    private const double Half = 2e-3;

    /// <summary>Both types of activations, aligned and not.</summary>
    public static TheoryData<CudaType, bool> Types => new()
    {
        { CudaType.Float32, false },
        { CudaType.Float32, true },
        { CudaType.Float16, false },
        { CudaType.Float16, true },
    };

    public static double Forward(this CudaType type) => type == CudaType.Float32 ? Agreement.Forward : Half;

    public static double Backward(this CudaType type) => type == CudaType.Float32 ? Agreement.Backward : Half;

    /// <summary>A float rounded to a type.</summary>
    public static float Round(this CudaType type, float value) => type == CudaType.Float32 ? value : (float)(System.Half)value;
}
