using System.Runtime.InteropServices;

namespace CudaTrainer.Engine.Tensors;

/// <summary>
/// A contiguous, row-major block of numbers on one device. Reshapes and ranges of the outermost dimension are views that share the memory;
/// everything else is a copy.
/// </summary>
/// <remarks>
/// Tensors that a <see cref="Autograd.Tape"/> made belong to the tape and live until it is reset; the tape then uses the objects again.
/// Others belong to whoever made them and are disposed once; views are never disposed. A tensor without memory throws when it is used.
/// </remarks>
public sealed class Tensor : IDisposable
{
    private DeviceBuffer? _owned;
    private nint _data;

    private Tensor(IDevice device, nint data, Shape shape, DType type, DeviceBuffer? owned, string? name)
    {
        Device = device;
        Assign(data, shape, type, owned, name);
    }

    public Shape Shape { get; private set; }

    public DType DType { get; private set; }

    public IDevice Device { get; }

    /// <summary>Device address of the first element.</summary>
    /// <exception cref="ObjectDisposedException">The tensor was disposed, or its tape was reset.</exception>
    public nint Data => _data != 0
        ? _data
        : throw new ObjectDisposedException(ToString(), "It was disposed, or the tape that it belongs to was reset.");

    /// <summary>What error messages call it.</summary>
    public string? Name { get; set; }

    /// <summary>Whether the tape computes a gradient for it.</summary>
    public bool RequiresGradient { get; set; }

    /// <summary>
    /// The gradient of the loss, same shape and type: set by the tape, or a fixed block of the model's flat gradients for parameters.
    /// </summary>
    public Tensor? Gradient { get; set; }

    /// <summary>
    /// The same numbers in half precision, for devices that compute in it: kept by whoever writes this tensor, the optimiser on the device
    /// and <see cref="Write(ReadOnlySpan{float})"/> and <see cref="CopyFrom"/> from outside.
    /// </summary>
    public Tensor? HalfCopy { get; set; }

    public long Count => Shape.Count;

    public long Bytes => Shape.Count * DType.Size();

    /// <summary>Uninitialised memory from the device's arena.</summary>
    public static Tensor Allocate(IDevice device, Shape shape, DType type = DType.Float32, string? name = null)
    {
        DeviceBuffer buffer = device.Allocate(shape.Count * type.Size(), name);
        return new Tensor(device, buffer.Pointer, shape, type, buffer, name);
    }

    public static Tensor Zeros(IDevice device, Shape shape, DType type = DType.Float32, string? name = null)
    {
        Tensor tensor = Allocate(device, shape, type, name);
        device.Fill(tensor.Data, 0, tensor.Bytes);
        return tensor;
    }

    /// <summary>A copy of host numbers, converted to <paramref name="type"/>.</summary>
    public static Tensor From(IDevice device, Shape shape, ReadOnlySpan<double> values, DType type = DType.Float32, string? name = null)
    {
        Tensor tensor = Allocate(device, shape, type, name);
        tensor.Write(values);
        return tensor;
    }

    /// <summary>A copy of host numbers, converted to <paramref name="type"/>.</summary>
    public static Tensor From(IDevice device, Shape shape, ReadOnlySpan<float> values, DType type = DType.Float32, string? name = null)
    {
        Tensor tensor = Allocate(device, shape, type, name);
        tensor.Write(values);
        return tensor;
    }

    public static Tensor From(IDevice device, Shape shape, ReadOnlySpan<int> values, string? name = null)
    {
        Tensor tensor = Allocate(device, shape, DType.Int32, name);
        tensor.RequireCount(values.Length);
        device.Upload(MemoryMarshal.AsBytes(values), tensor.Data);
        return tensor;
    }

    public static Tensor From(IDevice device, Shape shape, ReadOnlySpan<long> values, string? name = null)
    {
        Tensor tensor = Allocate(device, shape, DType.Int64, name);
        tensor.RequireCount(values.Length);
        device.Upload(MemoryMarshal.AsBytes(values), tensor.Data);
        return tensor;
    }

    /// <summary>Host memory from <see cref="IDevice.AllocateHost"/>, which ops read in place; it must outlive the tensor.</summary>
    internal static Tensor Over(IDevice device, HostBuffer memory, Shape shape, DType type, string? name)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(shape.Count * type.Size(), memory.Bytes);
        return new Tensor(device, memory.Pointer, shape, type, owned: null, name);
    }

    /// <summary>The same elements under another shape.</summary>
    public Tensor Reshape(Shape shape) => shape.Count == Count
        ? new Tensor(Device, Data, shape, DType, owned: null, Name)
        : throw new TensorMismatchException("Reshape", Name ?? "tensor",
            $"has shape {Shape} ({Count} elements), which cannot become {shape} ({shape.Count}).");

    /// <summary>Entries [start, start + length) of the outermost dimension.</summary>
    public Tensor Slice(int start, int length) => new(Device, AddressOf(start, length), Shape.With(0, length), DType, owned: null, Name);

    /// <summary>Device address of entries [start, start + length) of the outermost dimension.</summary>
    internal nint AddressOf(int start, int length)
    {
        if (Shape.Rank == 0 || start < 0 || length < 0 || start + length > Shape[0])
        {
            throw new TensorMismatchException("Slice", Name ?? "tensor", $"has shape {Shape}: no entries {start} to {start + length}.");
        }

        long stride = Shape[0] == 0 ? 0 : Count / Shape[0];
        return Data + (nint)(start * stride * DType.Size());
    }

    /// <summary>A block of elements anywhere inside this tensor, for parameters that live in one flat buffer.</summary>
    internal Tensor Block(long offset, Shape shape, string? name)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + shape.Count, Count);
        return new Tensor(Device, Data + (nint)(offset * DType.Size()), shape, DType, owned: null, name);
    }

    /// <summary>An object without memory, for a tape to <see cref="Assign"/> and <see cref="Release"/> again and again.</summary>
    internal static Tensor Empty(IDevice device) => new(device, 0, default, default, owned: null, name: null);

    internal void Assign(nint data, Shape shape, DType type, DeviceBuffer? owned, string? name)
    {
        _data = data;
        _owned = owned;
        Shape = shape;
        DType = type;
        Name = name;
    }

    /// <summary>Gives up memory, gradient and everything else, also of a view.</summary>
    internal void Release()
    {
        Dispose();
        _data = 0;
        Gradient = null;
        RequiresGradient = false;
    }

    /// <summary>Copies the elements to the host, converted to double. Waits for the device.</summary>
    public double[] ToDoubles()
    {
        double[] values = new double[Count];
        switch (DType)
        {
            case DType.Float64:
                Download<double>(values);
                break;
            case DType.Float32:
                float[] singles = Read<float>();
                for (int i = 0; i < singles.Length; i++)
                {
                    values[i] = singles[i];
                }

                break;
            case DType.Float16:
                Half[] halves = Read<Half>();
                for (int i = 0; i < halves.Length; i++)
                {
                    values[i] = (double)halves[i];
                }

                break;
            case DType.Int32:
                int[] integers = Read<int>();
                for (int i = 0; i < integers.Length; i++)
                {
                    values[i] = integers[i];
                }

                break;
            default:
                byte[] bytes = Read<byte>();
                for (int i = 0; i < bytes.Length; i++)
                {
                    values[i] = bytes[i];
                }

                break;
        }

        return values;
    }

    /// <summary>Copies the elements to a new host array of the tensor's own type. Waits for the device.</summary>
    public T[] Read<T>()
        where T : unmanaged
    {
        T[] values = new T[Count];
        Download<T>(values);
        return values;
    }

    /// <summary>Copies the elements to the host. Waits for the device.</summary>
    public unsafe void Download<T>(Span<T> destination)
        where T : unmanaged
    {
        if (sizeof(T) != DType.Size())
        {
            throw new TensorMismatchException("Download", Name ?? "tensor", $"is {DType}; {typeof(T).Name} has another size.");
        }

        RequireCount(destination.Length);
        Device.Download(Data, MemoryMarshal.AsBytes(destination));
    }

    /// <summary>Copies host numbers in, converted to the tensor's type.</summary>
    public void Write(ReadOnlySpan<double> values)
    {
        RequireCount(values.Length);
        HalfCopy?.Write(values);
        switch (DType)
        {
            case DType.Float64:
                Device.Upload(MemoryMarshal.AsBytes(values), Data);
                return;
            case DType.Float16:
                Half[] halves = new Half[values.Length];
                for (int i = 0; i < halves.Length; i++)
                {
                    halves[i] = (Half)values[i];
                }

                Device.Upload(MemoryMarshal.AsBytes<Half>(halves), Data);
                return;
            case DType.Float32:
                float[] singles = new float[values.Length];
                for (int i = 0; i < singles.Length; i++)
                {
                    singles[i] = (float)values[i];
                }

                Device.Upload(MemoryMarshal.AsBytes<float>(singles), Data);
                return;
            default:
                throw new TensorMismatchException("Write", Name ?? "tensor", $"is {DType}, not a floating-point type.");
        }
    }

    /// <summary>Copies host numbers in, converted to the tensor's type.</summary>
    public void Write(ReadOnlySpan<float> values)
    {
        if (DType == DType.Float32)
        {
            RequireCount(values.Length);
            HalfCopy?.Write(values);
            Device.Upload(MemoryMarshal.AsBytes(values), Data);
            return;
        }

        double[] doubles = new double[values.Length];
        for (int i = 0; i < doubles.Length; i++)
        {
            doubles[i] = values[i];
        }

        Write(doubles);
    }

    public void CopyFrom(Tensor source)
    {
        if (source.Shape != Shape || source.DType != DType)
        {
            throw new TensorMismatchException("CopyFrom", source.Name ?? "source",
                $"is {source.DType} {source.Shape}, expected {DType} {Shape}.");
        }

        if (ReferenceEquals(source.Device, Device))
        {
            Device.Copy(source.Data, Data, Bytes);
        }
        else
        {
            Device.CopyFromPeer(source.Device, source.Data, Data, Bytes);
        }

        if (HalfCopy is not null)
        {
            Device.TensorOps.Cast(this, HalfCopy);
        }
    }

    public void Dispose()
    {
        if (_owned is { } buffer)
        {
            _owned = null;
            _data = 0;
            Device.Free(buffer);
        }
    }

    public override string ToString() => $"{Name ?? "tensor"} {DType} {Shape} on {Device.Name}";

    private void RequireCount(int count)
    {
        if (count != Count)
        {
            throw new TensorMismatchException("copy", Name ?? "tensor", $"has shape {Shape} ({Count} elements), the host has {count}.");
        }
    }
}
