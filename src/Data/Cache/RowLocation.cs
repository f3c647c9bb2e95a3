using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Cache;

/// <summary>Where a video's features lie.</summary>
/// <param name="Path">The file.</param>
/// <param name="Offset">First byte.</param>
/// <param name="Checksum">CRC-32C of the row.</param>
internal sealed record RowLocation(string Path, long Offset, uint Checksum)
{
    /// <returns>Whether the whole row is there and has its checksum.</returns>
    public bool TryRead(Span<byte> row)
    {
        try
        {
            using SafeFileHandle file = InputFile.Open(Path);
            InputFile.ReadExactly(file, Path, Offset, row);
            return Crc32C.Of(row) == Checksum;
        }
        catch (Exception exception) when (exception is FileNotFoundException or FileFormatException)
        {
            return false;
        }
    }
}
