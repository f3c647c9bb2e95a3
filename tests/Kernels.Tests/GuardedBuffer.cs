using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// Native memory between two pages that no access is allowed to: a kernel that reads or writes outside its buffer crashes the test run
/// at the faulty instruction.
/// </summary>
/// <remarks>
/// Only one side can touch its page unless the size is a multiple of the page size, so that a buffer is either <see cref="Edge.Behind"/>
/// (ends right before the guard page; the usual case, overruns) or <see cref="Edge.Before"/> (begins right behind the guard page).
/// </remarks>
internal sealed unsafe class GuardedBuffer<T> : IDisposable
    where T : unmanaged
{
    private readonly byte* _mapping;
    private readonly nuint _mappedBytes;

    public GuardedBuffer(int length, Edge edge = Edge.Behind)
    {
        Length = length;
        nuint page = (nuint)Environment.SystemPageSize;
        nuint bytes = (nuint)length * (nuint)sizeof(T);
        nuint inner = Math.Max(1, (bytes + page - 1) / page) * page;
        _mappedBytes = inner + (2 * page);
        _mapping = GuardedMemory.Map(_mappedBytes);
        GuardedMemory.Forbid(_mapping, page);
        GuardedMemory.Forbid(_mapping + page + inner, page);
        Pointer = (T*)(edge == Edge.Behind ? _mapping + page + inner - bytes : _mapping + page);
    }

    /// <param name="values">Copied into the buffer.</param>
    /// <param name="edge">Which end touches its guard page.</param>
    public GuardedBuffer(ReadOnlySpan<T> values, Edge edge = Edge.Behind)
        : this(values.Length, edge)
        => values.CopyTo(Span);

    public T* Pointer { get; }

    public int Length { get; }

    public Span<T> Span => new(Pointer, Length);

    public static implicit operator T*(GuardedBuffer<T> buffer) => buffer.Pointer;

    public void Dispose() => GuardedMemory.Unmap(_mapping, _mappedBytes);
}

/// <summary>The end of a <see cref="GuardedBuffer{T}"/> that touches its guard page.</summary>
internal enum Edge
{
    Behind,
    Before,
}

internal static unsafe partial class GuardedMemory
{
    private const int ReadWrite = 3;
    private const int NoAccess = 0;
    private const int PrivateAnonymous = 0x22;

    public static byte* Map(nuint bytes)
    {
        void* address = MemoryMap(null, bytes, ReadWrite, PrivateAnonymous, -1, 0);
        return (nint)address == -1
            ? throw new OutOfMemoryException($"mmap of {bytes} bytes: error {Marshal.GetLastPInvokeError()}")
            : (byte*)address;
    }

    public static void Forbid(byte* address, nuint bytes)
    {
        if (MemoryProtect(address, bytes, NoAccess) != 0)
        {
            throw new InvalidOperationException($"mprotect: error {Marshal.GetLastPInvokeError()}");
        }
    }

    public static void Unmap(byte* address, nuint bytes) => _ = MemoryUnmap(address, bytes);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* MemoryMap(void* address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int MemoryProtect(void* address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int MemoryUnmap(void* address, nuint length);
}
