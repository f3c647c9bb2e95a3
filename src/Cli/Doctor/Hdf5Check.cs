using CudaTrainer.Formats;

namespace CudaTrainer.Cli.Doctor;

/// <summary>Whether Keras files can be read, and by which HDF5.</summary>
internal static class Hdf5Check
{
    public static Check Run() => Hdf5Library.IsAvailable
        ? Check.Ok("hdf5", $"{Hdf5Library.Version}, {Hdf5Library.Detail}")
        : Check.Warn("hdf5", Hdf5Library.Detail, "without it no Keras .h5 files are read; everything else works");
}
