using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// The device arrays of one test. <see cref="Verify"/> finds whatever a kernel changed besides its outputs: each array stands between guard
/// zones of its own, and inputs must be what they were.
/// </summary>
/// <param name="fixture">Device.</param>
/// <param name="type">Type of activations.</param>
/// <param name="misaligned">Arrays of activations begin one element behind a 16-byte boundary, so that kernels take their element-wise
/// paths.</param>
internal sealed unsafe class DeviceArrays(CudaFixture fixture, CudaType type = CudaType.Float32, bool misaligned = false) : IDisposable
{
    private readonly List<DeviceArray> _all = [];

    public CudaType Type => type;

    /// <summary>An activation that no kernel may change.</summary>
    public DeviceArray Input(float[] values) => Add(Encode(values, type), type, mutable: false, misaligned);

    /// <summary>An activation that a kernel updates.</summary>
    public DeviceArray Updated(float[] values) => Add(Encode(values, type), type, mutable: true, misaligned);

    /// <summary>An activation for a kernel to fill: NaN until then, so that an element it forgets is found.</summary>
    public DeviceArray Output(int length) => Add(Filled(length, type), type, mutable: true, misaligned);

    /// <summary>Floats whatever the type of activations is, which no kernel may change.</summary>
    public DeviceArray Floats(params float[] values) => Add(Encode(values, CudaType.Float32), CudaType.Float32, mutable: false);

    public DeviceArray UpdatedFloats(params float[] values) => Add(Encode(values, CudaType.Float32), CudaType.Float32, mutable: true);

    public DeviceArray OutputFloats(int length) => Add(Filled(length, CudaType.Float32), CudaType.Float32, mutable: true);

    /// <summary>Anything else that no kernel may change.</summary>
    public DeviceArray Raw<T>(params T[] values)
        where T : unmanaged
        => Add(MemoryMarshal.AsBytes<T>(values).ToArray(), CudaType.Float32, mutable: false);

    public DeviceArray UpdatedRaw<T>(params T[] values)
        where T : unmanaged
        => Add(MemoryMarshal.AsBytes<T>(values).ToArray(), CudaType.Float32, mutable: true);

    /// <summary>A workspace: garbage.</summary>
    public DeviceArray Workspace(long bytes)
    {
        byte[] garbage = new byte[bytes];
        garbage.AsSpan().Fill(0xFF);
        return Add(garbage, CudaType.Float32, mutable: true);
    }

    /// <summary>Waits for the device and checks guard zones and inputs.</summary>
    public void Verify()
    {
        foreach (DeviceArray array in _all)
        {
            array.Verify();
        }
    }

    public void Dispose()
    {
        foreach (DeviceArray array in _all)
        {
            array.Dispose();
        }
    }

    /// <summary>The numbers that a device sees when it is given these in a type.</summary>
    public static float[] Rounded(float[] values, CudaType type) => type == CudaType.Float32
        ? values
        : [.. values.Select(value => (float)(Half)value)];

    public float[] Rounded(float[] values) => Rounded(values, type);

    private static byte[] Encode(float[] values, CudaType type) => type == CudaType.Float32
        ? MemoryMarshal.AsBytes<float>(values).ToArray()
        : MemoryMarshal.AsBytes<Half>(values.Select(value => (Half)value).ToArray()).ToArray();

    private static byte[] Filled(int length, CudaType type) => Encode([.. Enumerable.Repeat(float.NaN, length)], type);

    private DeviceArray Add(byte[] content, CudaType of, bool mutable, bool shifted = false)
    {
        int shift = !shifted ? 0 : of == CudaType.Float32 ? sizeof(float) : sizeof(short);
        var array = new DeviceArray(fixture, content, of, mutable, shift);
        _all.Add(array);
        return array;
    }
}

/// <summary>One of <see cref="DeviceArrays"/>.</summary>
internal sealed unsafe class DeviceArray : IDisposable
{
    private const int GuardBytes = 256;
    private const byte GuardValue = 0xA5;

    private readonly CudaFixture _fixture;
    private readonly CudaType _type;
    private readonly byte[] _whole;
    private readonly nint _allocation;
    private readonly int _begin;
    private readonly int _bytes;
    private readonly bool _mutable;

    public DeviceArray(CudaFixture fixture, byte[] content, CudaType type, bool mutable, int shift)
    {
        _fixture = fixture;
        _type = type;
        _mutable = mutable;
        _begin = GuardBytes + shift;
        _bytes = content.Length;

        // The simulator forbids every access behind an allocation, reads included; a zone of ours would be in the way.
        _whole = new byte[_begin + content.Length + (Interop.Cuda.IsSimulated ? 0 : GuardBytes)];
        _whole.AsSpan().Fill(GuardValue);
        content.CopyTo(_whole, _begin);
        _allocation = fixture.Context.TryAllocate(_whole.Length);
        _allocation.ShouldNotBe(0);
        fixed (byte* host = _whole)
        {
            fixture.Stream.CopyToDevice((nint)host, _allocation, _whole.Length);
            fixture.Stream.Synchronize();
        }
    }

    public nint Address => _allocation + _begin;

    public static implicit operator nint(DeviceArray array) => array.Address;

    /// <summary>The array as floats, whatever its type.</summary>
    public float[] Read() => _type == CudaType.Float32 ? Read<float>() : [.. Read<Half>().Select(value => (float)value)];

    public T[] Read<T>()
        where T : unmanaged
        => MemoryMarshal.Cast<byte, T>(Download().AsSpan(_begin, _bytes)).ToArray();

    public void Verify()
    {
        byte[] now = Download();
        for (int i = 0; i < now.Length; i++)
        {
            bool mayChange = _mutable && i >= _begin && i < _begin + _bytes;
            if (!mayChange && now[i] != _whole[i])
            {
                Assert.Fail($"byte {i - _begin} of an array of {_bytes} bytes was overwritten");
            }
        }
    }

    public void Dispose() => _fixture.Context.Free(_allocation);

    private byte[] Download()
    {
        byte[] bytes = new byte[_whole.Length];
        fixed (byte* host = bytes)
        {
            _fixture.Stream.CopyToHost(_allocation, (nint)host, bytes.Length);
            _fixture.Stream.Synchronize();
        }

        return bytes;
    }
}
