namespace CudaTrainer.Engine.Tests;

/// <summary>
/// Numbers from a hash of their index: the formula that the scripts in tests/golden use, so that no weights need to be stored.
/// </summary>
internal static class FormulaNoise
{
    public static uint Hash(int index, int seed)
    {
        uint h = (uint)(((ulong)index * 2654435761) + (((ulong)seed + 1) * 40503));
        h = (h ^ (h >> 15)) * 2246822519;
        h = (h ^ (h >> 15)) * 3266489917;
        return h ^ (h >> 16);
    }

    /// <summary>offset + scale·u with u in [-1, 1).</summary>
    public static float At(int index, int seed, double scale, double offset = 0) =>
        (float)(offset + (scale * ((Hash(index, seed) / 2147483648.0) - 1)));
}
