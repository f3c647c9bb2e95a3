namespace CudaTrainer.Engine.Tensors;

/// <summary>Element types that tensors hold on a device.</summary>
public enum DType
{
    Float32,
    Float16,

    /// <summary>Only on the reference device, for gradient checks.</summary>
    Float64,
    Int32,
    Int64,
    UInt8,
}

public static class DTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this DType type) => type switch
    {
        DType.Float64 or DType.Int64 => 8,
        DType.Float16 => 2,
        DType.UInt8 => 1,
        _ => 4,
    };

    public static bool IsFloatingPoint(this DType type) => type is DType.Float32 or DType.Float16 or DType.Float64;
}
