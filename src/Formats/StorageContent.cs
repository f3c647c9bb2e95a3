using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace CudaTrainer.Formats;

/// <summary>The bytes of a PyTorch storage: in place in the mapped file, or inflated on first use.</summary>
internal sealed unsafe class StorageContent
{
    private readonly MappedFile _file;
    private readonly long _offset;
    private readonly Lazy<byte[]>? _inflated;

    public StorageContent(MappedFile file, long offset, long byteCount)
    {
        _file = file;
        _offset = offset;
        ByteCount = byteCount;
    }

    public StorageContent(MappedFile file, MappedZip zip, string memberName, ZipMember member)
        : this(file, member.Offset, member.Length)
    {
        if (member.IsDeflated)
        {
            _inflated = new Lazy<byte[]>(() => zip.Inflate(memberName));
        }
    }

    public long ByteCount { get; }

    /// <summary>The first byte, with the whole storage asked for ahead or inflated.</summary>
    public byte* Load()
    {
        if (_inflated is not null)
        {
            return (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_inflated.Value));
        }

        _file.WillNeed(_offset, ByteCount);
        return _file.Start + _offset;
    }
}
