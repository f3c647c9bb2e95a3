namespace CudaTrainer.Data.Video;

/// <summary>Rectangles and numbers on an RGB picture. What reaches beyond its edges is cut off.</summary>
/// <param name="rgb">[height, width, 3].</param>
internal readonly ref struct FramePainter(Span<byte> rgb, int width, int height)
{
    /// <summary>Pixels of a digit across and down, at scale 1.</summary>
    public const int DigitWidth = 3, DigitHeight = 5;

    /// <summary>Rows of each sign, 3 bits each, the left pixel highest.</summary>
    private static readonly Dictionary<char, byte[]> Signs = new()
    {
        ['0'] = [7, 5, 5, 5, 7],
        ['1'] = [2, 6, 2, 2, 7],
        ['2'] = [7, 1, 7, 4, 7],
        ['3'] = [7, 1, 7, 1, 7],
        ['4'] = [5, 5, 7, 1, 1],
        ['5'] = [7, 4, 7, 1, 7],
        ['6'] = [7, 4, 7, 5, 7],
        ['7'] = [7, 1, 1, 1, 1],
        ['8'] = [7, 5, 7, 5, 7],
        ['9'] = [7, 5, 7, 1, 7],
        ['.'] = [0, 0, 0, 0, 2],
        [':'] = [0, 2, 0, 2, 0],
    };

    private readonly Span<byte> _rgb = rgb;

    /// <summary>Pixels that <paramref name="text"/> takes across.</summary>
    public static int TextWidth(string text, int scale) => ((text.Length * (DigitWidth + 1)) - 1) * scale;

    public void Fill(int x, int y, int across, int down, (byte R, byte G, byte B) colour)
    {
        int left = Math.Clamp(x, 0, width), right = Math.Clamp(x + across, 0, width);
        for (int row = Math.Clamp(y, 0, height); row < Math.Clamp(y + down, 0, height); row++)
        {
            Span<byte> pixels = _rgb.Slice(((row * width) + left) * 3, (right - left) * 3);
            for (int i = 0; i < pixels.Length; i += 3)
            {
                (pixels[i], pixels[i + 1], pixels[i + 2]) = colour;
            }
        }
    }

    /// <summary>The edge of the whole picture.</summary>
    public void Border(int thickness, (byte R, byte G, byte B) colour)
    {
        Fill(0, 0, width, thickness, colour);
        Fill(0, height - thickness, width, thickness, colour);
        Fill(0, 0, thickness, height, colour);
        Fill(width - thickness, 0, thickness, height, colour);
    }

    /// <param name="text">Digits, points and colons.</param>
    /// <param name="scale">Pixels per pixel of the font.</param>
    public void Text(int x, int y, string text, int scale, (byte R, byte G, byte B) colour)
    {
        foreach (char sign in text)
        {
            byte[] rows = Signs[sign];
            for (int row = 0; row < DigitHeight; row++)
            {
                for (int column = 0; column < DigitWidth; column++)
                {
                    if ((rows[row] >> (DigitWidth - 1 - column) & 1) != 0)
                    {
                        Fill(x + (column * scale), y + (row * scale), scale, scale, colour);
                    }
                }
            }

            x += (DigitWidth + 1) * scale;
        }
    }
}
