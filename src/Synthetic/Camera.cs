namespace CudaTrainer.Synthetic;

/// <summary>How a scene gets onto the sensor: a hand that shakes, light that changes, noise, perhaps no colour.</summary>
internal sealed class Camera
{
    private const int NoiseValues = 1 << 13;

    private readonly float _shake;
    private readonly float _shakeRate;
    private readonly float _phaseX;
    private readonly float _phaseY;
    private readonly float _gain;
    private readonly float _gainSwing;
    private readonly float _gainRate;
    private readonly float _stepAt;
    private readonly float _step;
    private readonly short[] _noise = new short[NoiseValues];

    public Camera(float duration, ref Draws random)
    {
        _shake = random.Chance(0.25f) ? 0 : random.Between(0.003f, 0.016f);
        _shakeRate = random.Between(0.3f, 1.2f);
        _phaseX = random.Unit();
        _phaseY = random.Unit();
        _gain = random.Between(0.85f, 1.12f);
        _gainSwing = random.Between(0, 0.06f);
        _gainRate = random.Between(0.1f, 0.6f);
        _stepAt = random.Between(0, 2 * duration);
        _step = random.Between(-0.1f, 0.1f);
        float sigma = random.Between(1.5f, 6);
        for (int i = 0; i < NoiseValues; i++)
        {
            // The sum of four uniform numbers is near enough to a normal one.
            float sum = random.Unit() + random.Unit() + random.Unit() + random.Unit() - 2;
            _noise[i] = (short)MathF.Round(sum * sigma * 1.73f);
        }
    }

    /// <summary>Where the picture's corner lies on the backdrop, in pixels.</summary>
    public (float X, float Y) Corner(float seconds, int width, int height)
    {
        float Swing(float phase) =>
            (0.6f * MathF.Sin(2 * MathF.PI * ((_shakeRate * seconds) + phase)))
            + (0.4f * MathF.Sin(2 * MathF.PI * ((2.7f * _shakeRate * seconds) + (3 * phase))));
        return (((Scene.Margin + (_shake * Swing(_phaseX))) * width), ((Scene.Margin + (_shake * Swing(_phaseY))) * height));
    }

    /// <summary>Fills <paramref name="picture"/> with the part of the backdrop that the camera sees.</summary>
    public static void Look(Canvas backdrop, float cornerX, float cornerY, Canvas picture)
    {
        int left = (int)cornerX;
        int top = (int)cornerY;
        int right = (int)((cornerX - left) * 256);
        int down = (int)((cornerY - top) * 256);
        (int w00, int w01, int w10, int w11) = ((256 - right) * (256 - down), right * (256 - down), (256 - right) * down, right * down);
        int rowBytes = picture.Width * 3;
        for (int y = 0; y < picture.Height; y++)
        {
            Span<byte> upper = backdrop.Pixels.AsSpan((((top + y) * backdrop.Width) + left) * 3, rowBytes + 3);
            Span<byte> lower = backdrop.Pixels.AsSpan((((top + y + 1) * backdrop.Width) + left) * 3, rowBytes + 3);
            Span<byte> target = picture.Pixels.AsSpan(y * rowBytes, rowBytes);
            for (int i = 0; i < target.Length; i++)
            {
                target[i] = (byte)(((upper[i] * w00) + (upper[i + 3] * w01) + (lower[i] * w10) + (lower[i + 3] * w11)) >> 16);
            }
        }
    }

    /// <summary>Light and noise, in place.</summary>
    public void Expose(Canvas picture, float seconds, bool isGrey, ref Draws random)
    {
        float gain = _gain + (_gainSwing * MathF.Sin(2 * MathF.PI * _gainRate * seconds)) + (seconds > _stepAt ? _step : 0);
        int factor = (int)(gain * 256);
        byte[] pixels = picture.Pixels;
        if (isGrey)
        {
            for (int i = 0; i < pixels.Length; i += 3)
            {
                pixels[i] = pixels[i + 1] = pixels[i + 2] = (byte)(((pixels[i] * 77) + (pixels[i + 1] * 150) + (pixels[i + 2] * 29)) >> 8);
            }
        }

        for (int start = 0; start < pixels.Length; start += 1024)
        {
            int noise = random.Below(NoiseValues - 1024);
            Span<byte> block = pixels.AsSpan(start, Math.Min(1024, pixels.Length - start));
            for (int i = 0; i < block.Length; i++)
            {
                block[i] = (byte)Math.Clamp(((block[i] * factor) >> 8) + _noise[noise + i], 0, 255);
            }
        }
    }
}
