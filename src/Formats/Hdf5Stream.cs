using System.Runtime.InteropServices;

namespace CudaTrainer.Formats;

/// <summary>What the child process that reads an HDF5 file sends.</summary>
internal sealed unsafe class Hdf5Stream : IDisposable
{
    private const string Damaged = "The file is damaged or not a plain Keras file: copy or download it again.";

    private readonly NativeHdf5 _native;
    private readonly string _path;
    private nint _stream;

    private Hdf5Stream(NativeHdf5 native, string path, nint stream)
    {
        _native = native;
        _path = path;
        _stream = stream;
    }

    /// <summary>Everything but the numbers, as <c>cth_open_index</c> describes it.</summary>
    public static Hdf5Stream OpenIndex(NativeHdf5 native, string path)
    {
        fixed (byte* file = NativeHdf5.Terminated(path))
        {
            return Open(native, path, file, null);
        }
    }

    /// <summary>The elements of a dataset as floats, row-major.</summary>
    public static Hdf5Stream OpenData(NativeHdf5 native, string path, string dataset)
    {
        fixed (byte* file = NativeHdf5.Terminated(path), name = NativeHdf5.Terminated(dataset))
        {
            return Open(native, path, file, name);
        }
    }

    /// <summary>Fills the destination as far as the stream goes.</summary>
    /// <returns>Bytes read; fewer than asked for only at the end.</returns>
    /// <exception cref="FileFormatException">libhdf5 failed on the file, crashed, or took too long.</exception>
    public int Read(Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_stream == 0, this);
        Span<byte> message = stackalloc byte[NativeHdf5.MessageBytes];
        int done = 0;
        fixed (byte* start = destination, reason = message)
        {
            while (done < destination.Length)
            {
                long got = _native.Next(_stream, start + done, destination.Length - done, reason, message.Length);
                if (got < 0)
                {
                    throw Failed(_path, NativeHdf5.Message(message));
                }

                if (got == 0)
                {
                    break;
                }

                done += (int)got;
            }
        }

        return done;
    }

    public void ReadExactly(Span<float> destination)
    {
        if (Read(MemoryMarshal.AsBytes(destination)) != destination.Length * sizeof(float))
        {
            throw Failed(_path, "the elements end too early");
        }
    }

    public void Dispose()
    {
        if (_stream != 0)
        {
            _native.CloseStream(_stream);
            _stream = 0;
        }
    }

    private static Hdf5Stream Open(NativeHdf5 native, string path, byte* file, byte* dataset)
    {
        Span<byte> message = stackalloc byte[NativeHdf5.MessageBytes];
        nint stream;
        int result;
        fixed (byte* reason = message)
        {
            lock (native.Gate)
            {
                result = dataset is null
                    ? native.OpenIndex(file, &stream, reason, message.Length)
                    : native.OpenData(file, dataset, &stream, reason, message.Length);
            }
        }

        return result == 0 ? new Hdf5Stream(native, path, stream) : throw new FileFormatException(path, NativeHdf5.Message(message));
    }

    private static FileFormatException Failed(string path, string reason) => new(path, $"HDF5: {reason}", Damaged);
}
