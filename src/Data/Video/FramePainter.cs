namespace CudaTrainer.Data.Video;

/// <summary>Rectangles and words on an RGB picture. What reaches beyond its edges is cut off.</summary>
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
        [' '] = [0, 0, 0, 0, 0],
        ['-'] = [0, 0, 7, 0, 0],
        ['_'] = [0, 0, 0, 0, 7],
        ['+'] = [0, 2, 7, 2, 0],
        ['/'] = [1, 1, 2, 4, 4],
        ['?'] = [7, 1, 2, 0, 2],
        ['A'] = [2, 5, 7, 5, 5],
        ['B'] = [6, 5, 6, 5, 6],
        ['C'] = [3, 4, 4, 4, 3],
        ['D'] = [6, 5, 5, 5, 6],
        ['E'] = [7, 4, 6, 4, 7],
        ['F'] = [7, 4, 6, 4, 4],
        ['G'] = [3, 4, 5, 5, 3],
        ['H'] = [5, 5, 7, 5, 5],
        ['I'] = [7, 2, 2, 2, 7],
        ['J'] = [1, 1, 1, 5, 2],
        ['K'] = [5, 5, 6, 5, 5],
        ['L'] = [4, 4, 4, 4, 7],
        ['M'] = [5, 7, 7, 5, 5],
        ['N'] = [6, 5, 5, 5, 5],
        ['O'] = [2, 5, 5, 5, 2],
        ['P'] = [6, 5, 6, 4, 4],
        ['Q'] = [2, 5, 5, 6, 3],
        ['R'] = [6, 5, 6, 5, 5],
        ['S'] = [3, 4, 2, 1, 6],
        ['T'] = [7, 2, 2, 2, 2],
        ['U'] = [5, 5, 5, 5, 7],
        ['V'] = [5, 5, 5, 5, 2],
        ['W'] = [5, 5, 7, 7, 5],
        ['X'] = [5, 5, 2, 5, 5],
        ['Y'] = [5, 5, 2, 2, 2],
        ['Z'] = [7, 1, 2, 4, 7],
    };

    private readonly Span<byte> _rgb = rgb;

    /// <summary>A text in the signs that can be drawn: capitals, and a question mark for what there is no sign for.</summary>
    public static string Drawable(string text) =>
        string.Concat(text.EnumerateRunes().Select(rune => char.ToUpperInvariant((char)rune.Value))
            .Select(sign => Signs.ContainsKey(sign) ? sign : '?'));

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

    /// <param name="text">Signs that can be drawn: <see cref="Drawable"/>.</param>
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
