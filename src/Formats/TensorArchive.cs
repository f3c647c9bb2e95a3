using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>Opens weight files by what they contain; the extension is never trusted.</summary>
public static class TensorArchive
{
    private const string Accepted =
        "Accepted are .safetensors files, PyTorch files made by torch.save(model.state_dict(), name), and Keras .h5 files.";

    private static ReadOnlySpan<byte> Hdf5Signature => [0x89, (byte)'H', (byte)'D', (byte)'F', (byte)'\r', (byte)'\n', 0x1a, (byte)'\n'];

    /// <summary>Opens a safetensors, PyTorch (zip or legacy) or Keras (legacy HDF5) file.</summary>
    /// <exception cref="FileFormatException">Damaged, unsafe or of another kind; says what was found and what is accepted.</exception>
    /// <exception cref="FileNotFoundException">No such file.</exception>
    /// <exception cref="UnauthorizedAccessException">Not readable.</exception>
    public static ITensorArchive Open(string path)
    {
        byte[] head = ReadHead(path);
        if (head.StartsWith("PK\x03\x04"u8) || head.StartsWith(PyTorchArchive.LegacyMagic))
        {
            return PyTorchArchive.Open(path);
        }

        if (head.AsSpan().StartsWith(Hdf5Signature))
        {
            return H5Archive.Open(path);
        }

        // A safetensors file: the length of a JSON object, and the object.
        return head.Length > 8 && head[8] == '{'
            ? Safetensors.Open(path)
            : throw Unknown(path, head);
    }

    /// <summary>The entry to read into <paramref name="destinationLength"/> floats.</summary>
    internal static TensorEntry CheckRead(ITensorArchive archive, string name, int destinationLength)
    {
        if (!archive.Entries.TryGetValue(name, out TensorEntry? entry))
        {
            throw new FileFormatException(archive.Path, $"there is no tensor '{name}'");
        }

        if (!entry.Type.IsFloating())
        {
            throw new FileFormatException(archive.Path, $"tensor '{name}': expected floating-point elements, found {entry.Type}");
        }

        return entry.ElementCount == destinationLength
            ? entry
            : throw new ArgumentException(
                $"Tensor '{name}' of '{archive.Path}' has {entry.ElementCount} elements, the destination {destinationLength}.",
                nameof(destinationLength));
    }

    private static byte[] ReadHead(string path)
    {
        using SafeFileHandle handle = InputFile.Open(path);
        byte[] head = new byte[Math.Min(512, RandomAccess.GetLength(handle))];
        InputFile.ReadExactly(handle, path, 0, head);
        return head;
    }

    private static FileFormatException Unknown(string path, ReadOnlySpan<byte> head)
    {
        string found = head switch
        {
            [] => "an empty file",
            [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', ..] => "a NumPy array, which carries no tensor names",
            [0x1f, 0x8b, ..] => "gzip-compressed data; unpack it first",
            [0x80, >= 2 and <= 5, ..] => "a Python pickle that torch.save did not write",
            _ when head.StartsWith("version https://git-lfs"u8) => "a Git LFS pointer instead of the file itself; run 'git lfs pull'",
            _ when IsMarkup(head) => "a web page, probably the error page of a failed download",
            _ when head.Length > 262 && head[257..262].SequenceEqual("ustar"u8) => "a tar archive",
            _ => $"unknown content starting with bytes {Convert.ToHexString(head[..Math.Min(8, head.Length)])}",
        };
        return new FileFormatException(path, $"expected a weight file, found {found}", Accepted);
    }

    private static bool IsMarkup(ReadOnlySpan<byte> head)
    {
        string text = Encoding.Latin1.GetString(head).TrimStart();
        return text.StartsWith("<!doctype", StringComparison.OrdinalIgnoreCase)
            || text.StartsWith("<html", StringComparison.OrdinalIgnoreCase)
            || text.StartsWith("<?xml", StringComparison.OrdinalIgnoreCase);
    }
}
