using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace CudaTrainer.Engine.Tensors;

/// <summary>A tensor handed to an op has the wrong shape, type or device. Thrown before any backend is called.</summary>
public sealed class TensorMismatchException(string op, string argument, string message)
    : ArgumentException($"{op}: {argument} {message}")
{
    public string Op { get; } = op;

    public string Argument { get; } = argument;
}

/// <summary>The device could not give the memory that was asked for, even after its cache was emptied.</summary>
/// <param name="device">Which device.</param>
/// <param name="purpose">What the memory was for.</param>
/// <param name="requested">Bytes asked for.</param>
/// <param name="free">Bytes that the device has left; with <paramref name="total"/> 0 that is not known.</param>
/// <param name="total">Bytes of the device.</param>
/// <param name="held">Bytes in use by the engine.</param>
/// <param name="largest">The largest buffers in use, each with its name and bytes.</param>
/// <param name="hint">What to do.</param>
public sealed class DeviceOutOfMemoryException(string device, string purpose, long requested, long free, long total, long held,
    IReadOnlyList<string> largest, string hint)
    : Exception(
        $"{device} is out of memory: {requested:N0} bytes for {purpose} requested, {(total > 0 ? $"{free:N0} of {total:N0} free, " : string.Empty)}{held:N0} held by the engine"
        + $"{(largest.Count > 0 ? $"; largest: {string.Join(", ", largest)}" : string.Empty)}. {hint}")
{
    public string Device { get; } = device;

    public long RequestedBytes { get; } = requested;

    public long FreeBytes { get; } = free;

    public long HeldBytes { get; } = held;

    public IReadOnlyList<string> Largest { get; } = largest;
}

/// <summary>The checks that every differentiable function makes once, before it calls a backend.</summary>
public static class Check
{
    /// <summary><paramref name="tensor"/> has exactly this shape.</summary>
    public static void Shape(string op, string argument, Tensor tensor, Shape expected)
    {
        if (tensor.Shape == expected)
        {
            return;
        }

        ThrowShape(op, argument, tensor.Shape, expected);
    }

    /// <summary><paramref name="tensor"/> has this rank.</summary>
    public static void Rank(string op, string argument, Tensor tensor, int rank)
    {
        if (tensor.Shape.Rank != rank)
        {
            throw new TensorMismatchException(op, argument, $"has shape {tensor.Shape}, expected {rank} dimensions.");
        }
    }

    /// <summary>All tensors are of one floating-point type and on one device.</summary>
    public static void SamePlace(string op, Tensor first, params ReadOnlySpan<Tensor?> others)
    {
        foreach (Tensor? other in others)
        {
            if (other is null)
            {
                continue;
            }

            if (other.DType != first.DType)
            {
                throw new TensorMismatchException(op, other.Name ?? "an argument",
                    $"is {other.DType}, expected {first.DType} as the first argument has.");
            }

            Device(op, other, first.Device);
        }
    }

    /// <summary>
    /// Parameters and statistics are of one floating-point type, and <paramref name="x"/> is of the same or, on devices that compute in
    /// half precision, Float16 beside parameters in Float32; all on one device.
    /// </summary>
    public static void Operands(string op, Tensor x, Tensor parameter, params ReadOnlySpan<Tensor?> others)
    {
        SamePlace(op, parameter, others);
        Device(op, x, parameter.Device);
        if (x.DType != parameter.DType && !(x.DType == DType.Float16 && parameter.DType == DType.Float32 && x.Device.ComputesInHalf))
        {
            throw new TensorMismatchException(op, x.Name ?? "x",
                $"is {x.DType}, which {x.Device.Name} cannot combine with {parameter.Name ?? "parameters"} in {parameter.DType}.");
        }
    }

    public static void Device(string op, Tensor tensor, IDevice device)
    {
        if (!ReferenceEquals(tensor.Device, device))
        {
            throw new TensorMismatchException(op, tensor.Name ?? "an argument", $"is on {tensor.Device.Name}, expected {device.Name}.");
        }
    }

    public static void Type(string op, string argument, Tensor tensor, DType expected)
    {
        if (tensor.DType != expected)
        {
            throw new TensorMismatchException(op, argument, $"is {tensor.DType}, expected {expected}.");
        }
    }

    [DoesNotReturn]
    [StackTraceHidden]
    private static void ThrowShape(string op, string argument, Shape actual, Shape expected)
    {
        string where = string.Empty;
        if (actual.Rank == expected.Rank)
        {
            for (int i = 0; i < actual.Rank; i++)
            {
                if (actual[i] != expected[i])
                {
                    where = $" (dimension {i} is {actual[i]}, not {expected[i]})";
                    break;
                }
            }
        }

        throw new TensorMismatchException(op, argument, $"has shape {actual}, expected {expected}{where}.");
    }
}
