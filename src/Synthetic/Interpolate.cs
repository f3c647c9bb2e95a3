using System.Numerics;

namespace CudaTrainer.Synthetic;

/// <summary>Linear interpolation with the same bits every time.</summary>
/// <remarks>
/// <c>Lerp</c> of the framework may or may not fuse its multiplication and addition, depending on which of its compilers got to
/// the method: two runs of one program can differ in the last bit, and so in a pixel.
/// </remarks>
internal static class Interpolate
{
    public static float Mix(float from, float to, float share) => from + ((to - from) * share);

    public static Vector2 Mix(Vector2 from, Vector2 to, float share) => from + ((to - from) * share);

    public static Vector3 Mix(Vector3 from, Vector3 to, float share) => from + ((to - from) * share);
}
