namespace CudaTrainer.Formats.Drawing;

internal readonly record struct Colour(byte Red, byte Green, byte Blue)
{
    public static Colour Black { get; } = new(0, 0, 0);

    public static Colour White { get; } = new(255, 255, 255);

    /// <summary>From this colour (0) to another (1).</summary>
    public Colour Towards(Colour other, double share) =>
        new(Mix(Red, other.Red, share), Mix(Green, other.Green, share), Mix(Blue, other.Blue, share));

    private static byte Mix(byte from, byte to, double share) => (byte)Math.Round(from + ((to - from) * share));
}

/// <summary>
/// A picture of coloured pixels with what small charts need. Coordinates are pixels from the upper left; what lies outside is left out.
/// </summary>
internal sealed class Raster
{
    private const int Channels = 3;

    private readonly byte[] _rgb;

    /// <summary>All white.</summary>
    public Raster(int width, int height)
    {
        (Width, Height) = (width, height);
        _rgb = new byte[width * height * Channels];
        _rgb.AsSpan().Fill(byte.MaxValue);
    }

    public int Width { get; }

    public int Height { get; }

    public void Fill(int x, int y, int width, int height, Colour colour)
    {
        int right = Math.Min(Width, x + width), bottom = Math.Min(Height, y + height);
        for (int row = Math.Max(0, y); row < bottom; row++)
        {
            for (int column = Math.Max(0, x); column < right; column++)
            {
                int at = ((row * Width) + column) * Channels;
                (_rgb[at], _rgb[at + 1], _rgb[at + 2]) = (colour.Red, colour.Green, colour.Blue);
            }
        }
    }

    /// <summary>A straight line drawn with a square pen.</summary>
    public void Line(int x0, int y0, int x1, int y1, Colour colour, int pen = 1)
    {
        int steps = Math.Max(1, Math.Max(Math.Abs(x1 - x0), Math.Abs(y1 - y0)));
        for (int i = 0; i <= steps; i++)
        {
            double share = (double)i / steps;
            Fill((int)Math.Round(x0 + ((x1 - x0) * share)) - (pen / 2), (int)Math.Round(y0 + ((y1 - y0) * share)) - (pen / 2), pen, pen,
                colour);
        }
    }

    /// <summary>One line of text, its upper left at a point.</summary>
    /// <param name="scale">Pixels for each dot of the 5×7 letters.</param>
    public void Text(int x, int y, string text, Colour colour, int scale = 2)
    {
        foreach (char letter in text)
        {
            ReadOnlySpan<byte> columns = DotFont.Columns(letter);
            for (int column = 0; column < columns.Length; column++)
            {
                for (int row = 0; row < DotFont.Height; row++)
                {
                    if ((columns[column] >> row & 1) != 0)
                    {
                        Fill(x + (column * scale), y + (row * scale), scale, scale, colour);
                    }
                }
            }

            x += DotFont.Advance * scale;
        }
    }

    /// <summary>The same with its middle at a point.</summary>
    public void CentredText(int x, int y, string text, Colour colour, int scale = 2) =>
        Text(x - (((text.Length * DotFont.Advance) - 1) * scale / 2), y - (DotFont.Height * scale / 2), text, colour, scale);

    public byte[] ToPng() => PngFile.Encode(_rgb, Width, Height);
}
