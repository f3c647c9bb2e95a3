using System.Runtime.InteropServices;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cuda;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// Finds out whether a GPU really reads another one's memory. Drivers have been seen to report peer access, to return success from every
/// call and to deliver other bytes than were there; so patterns are sent and looked at, by copy and by kernel, small and large, each twice
/// with different content, since a stale copy of the first looks right once.
/// </summary>
internal static class PeerProbe
{
    private static readonly int[] Sizes = [64, 4 << 10, (1 << 20) + 64, 8 << 20];

    /// <summary>Enables and tests that <paramref name="reader"/> reads the memory of <paramref name="owner"/>.</summary>
    /// <returns>Null if it can; else why not, as a clause.</returns>
    public static string? WhyNot(CudaDevice reader, CudaDevice owner)
    {
        if (!reader.Context.CanAccessPeer(owner.Context))
        {
            return $"{reader.Name} has no peer access to {owner.Name}";
        }

        reader.Context.EnablePeerAccess(owner.Context);
        var elementwise = new Elementwise(reader.Library);
        DeviceBuffer theirs = owner.Allocate(Sizes[^1], "peer probe"), ours = reader.Allocate(Sizes[^1], "peer probe");
        try
        {
            foreach (int size in Sizes)
            {
                for (int round = 0; round < 2; round++)
                {
                    byte[] pattern = Pattern(size, round);
                    owner.Upload(pattern, theirs.Pointer);
                    owner.Synchronize();
                    reader.Fill(ours.Pointer, 0, size);
                    reader.ComputeStream.CopyFromPeer(theirs.Pointer, owner.Context, ours.Pointer, size);
                    if (!Arrived(pattern))
                    {
                        return Corrupt("copies", size);
                    }

                    // 0 + x has the bits of x.
                    reader.Fill(ours.Pointer, 0, size);
                    elementwise.Accumulate(reader.ComputeStream, size / sizeof(float), theirs.Pointer, ours.Pointer, CudaType.Float32);
                    if (!Arrived(pattern))
                    {
                        return Corrupt("kernels", size);
                    }
                }
            }

            return null;
        }
        finally
        {
            owner.Free(theirs);
            reader.Free(ours);
        }

        bool Arrived(byte[] pattern)
        {
            byte[] arrived = new byte[pattern.Length];
            reader.Download(ours.Pointer, arrived);
            return arrived.AsSpan().SequenceEqual(pattern);
        }

        string Corrupt(string how, int size) =>
            $"the driver says that {reader.Name} can read the memory of {owner.Name}, but {how} of {size:N0} bytes arrive corrupted";
    }

    /// <summary>Finite floats that differ from place to place and from round to round.</summary>
    private static byte[] Pattern(int bytes, int round)
    {
        float[] numbers = new float[bytes / sizeof(float)];
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = 1 + (i % 8191) + (round * 0.5f);
        }

        return MemoryMarshal.AsBytes<float>(numbers).ToArray();
    }
}
