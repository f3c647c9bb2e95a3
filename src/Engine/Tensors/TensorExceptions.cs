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
public sealed class DeviceOutOfMemoryException(string device, long requested, long held, string hint)
    : Exception($"{device} has no {requested:N0} bytes left ({held:N0} bytes are held by the engine). {hint}")
{
    public string Device { get; } = device;

    public long RequestedBytes { get; } = requested;

    public long HeldBytes { get; } = held;
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
                throw new TensorMismatchException(op, other.Name ?? "an argument", $"is {other.DType}, expected {first.DType} as the first argument has.");
            }

            Device(op, other, first.Device);
        }
    }

    public static void Device(string op, Tensor tensor, Backends.IDevice device)
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
