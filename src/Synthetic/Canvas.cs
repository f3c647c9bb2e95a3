using System.Numerics;

namespace CudaTrainer.Synthetic;

/// <summary>RGB pixels, and the two shapes that people are made of, with smooth edges and a little shading.</summary>
internal sealed class Canvas(int width, int height)
{
    public int Width => width;

    public int Height => height;

    /// <summary>[height, width, 3].</summary>
    public byte[] Pixels { get; } = new byte[width * height * 3];

    /// <summary>A thick line with round ends whose radius changes from one end to the other, lit from the upper left.</summary>
    public void Capsule(Vector2 from, Vector2 to, float radiusFrom, float radiusTo, Vector3 colour)
    {
        float reach = MathF.Max(radiusFrom, radiusTo) + 1;
        (int left, int right) = Range(MathF.Min(from.X, to.X) - reach, MathF.Max(from.X, to.X) + reach, width);
        (int top, int bottom) = Range(MathF.Min(from.Y, to.Y) - reach, MathF.Max(from.Y, to.Y) + reach, height);
        (float axisX, float axisY) = (to.X - from.X, to.Y - from.Y);
        float inverseLength = 1 / MathF.Max((axisX * axisX) + (axisY * axisY), 1e-6f);
        for (int y = top; y < bottom; y++)
        {
            for (int x = left; x < right; x++)
            {
                (float offsetX, float offsetY) = (x + 0.5f - from.X, y + 0.5f - from.Y);
                float along = Math.Clamp(((offsetX * axisX) + (offsetY * axisY)) * inverseLength, 0, 1);
                (float acrossX, float acrossY) = (offsetX - (axisX * along), offsetY - (axisY * along));
                float distance = MathF.Sqrt((acrossX * acrossX) + (acrossY * acrossY));
                float radius = Interpolate.Mix(radiusFrom, radiusTo, along);
                float coverage = Math.Clamp(radius - distance + 0.5f, 0, 1);
                if (coverage > 0)
                {
                    float light = 0.85f - (0.22f * (acrossX + acrossY) / radius);
                    Blend(x, y, colour * light, coverage);
                }
            }
        }
    }

    /// <summary>A soft dark ellipse, as on the ground under someone.</summary>
    public void Shadow(Vector2 centre, Vector2 radii, float strength)
    {
        (int left, int right) = Range(centre.X - radii.X, centre.X + radii.X, width);
        (int top, int bottom) = Range(centre.Y - radii.Y, centre.Y + radii.Y, height);
        for (int y = top; y < bottom; y++)
        {
            for (int x = left; x < right; x++)
            {
                (float offsetX, float offsetY) = ((x - centre.X) / radii.X, (y - centre.Y) / radii.Y);
                float distance = (offsetX * offsetX) + (offsetY * offsetY);
                if (distance < 1)
                {
                    Blend(x, y, Vector3.Zero, strength * (1 - distance));
                }
            }
        }
    }

    private static (int Start, int End) Range(float low, float high, int size) =>
        ((int)Math.Clamp(MathF.Floor(low), 0, size), (int)Math.Clamp(MathF.Ceiling(high), 0, size));

    private void Blend(int x, int y, Vector3 colour, float coverage)
    {
        Span<byte> pixel = Pixels.AsSpan(((y * width) + x) * 3, 3);
        pixel[0] = Mix(pixel[0], colour.X, coverage);
        pixel[1] = Mix(pixel[1], colour.Y, coverage);
        pixel[2] = Mix(pixel[2], colour.Z, coverage);
    }

    private static byte Mix(byte under, float over, float coverage) =>
        (byte)(Math.Clamp(Interpolate.Mix(under, over, coverage), 0, 255) + 0.5f);
}
