using System.Numerics;

namespace CudaTrainer.Synthetic;

/// <summary>A place with its two people: what the clips of one source have in common. It knows nothing of what happens in it.</summary>
internal sealed class Scene
{
    /// <summary>The backdrop is larger than the picture by this share on each side, room for the camera to shake.</summary>
    public const float Margin = 0.08f;

    private readonly ulong _seed;
    private readonly Style _style;
    private readonly Vector3 _wall;
    private readonly Vector3 _floor;
    private readonly float _horizon;
    private readonly float _contrast;
    private readonly bool _isGrey;

    public Scene(int seed, int number)
    {
        Number = number;
        var random = Draws.Of(seed, 1_000_000 + number);
        _seed = random.Next();
        _style = (Style)random.Below(3);
        _horizon = random.Between(0.42f, 0.6f);
        _contrast = random.Between(0.35f, 0.7f);
        _isGrey = random.Chance(0.15f);
        _wall = Colour(random.Unit(), random.Between(0.03f, 0.18f), random.Between(0.66f, 0.82f));
        _floor = Colour(random.Unit(), random.Between(0.03f, 0.18f), random.Between(0.56f, 0.7f));
        First = Person(ref random);
        Second = Person(ref random);
    }

    private enum Style
    {
        Room,
        Street,
        Park,
    }

    public int Number { get; }

    /// <summary>The scene's name in <c>sources.csv</c>.</summary>
    public string Name => $"scene{Number:00}";

    public Figure First { get; }

    public Figure Second { get; }

    /// <summary>Where the ground meets the wall, as a share of the picture's height.</summary>
    public float Horizon => _horizon;

    public bool IsGrey => _isGrey;

    /// <summary>The place without people, [height, width, 3], including the margin.</summary>
    public Canvas Backdrop(int width, int height)
    {
        var canvas = new Canvas((int)(width * (1 + (2 * Margin))), (int)(height * (1 + (2 * Margin))));
        var random = new Draws(_seed);
        Thing[] things = Enumerable.Range(0, 3 + random.Below(5)).Select(_ => Thing.Random(_style, _horizon, ref random)).ToArray();
        uint noise = (uint)random.Next();
        float tile = random.Between(0.05f, 0.12f);
        for (int y = 0; y < canvas.Height; y++)
        {
            for (int x = 0; x < canvas.Width; x++)
            {
                // Shares of the height, so that the place looks the same at every size.
                float u = (float)x / canvas.Height;
                float v = (float)y / canvas.Height;
                Vector3 colour = v < _horizon ? Wall(u, v, noise, things) : Floor(u, v, noise, tile);
                Span<byte> pixel = canvas.Pixels.AsSpan(((y * canvas.Width) + x) * 3, 3);
                pixel[0] = (byte)Math.Clamp(colour.X, 0, 255);
                pixel[1] = (byte)Math.Clamp(colour.Y, 0, 255);
                pixel[2] = (byte)Math.Clamp(colour.Z, 0, 255);
            }
        }

        return canvas;
    }

    private Vector3 Wall(float u, float v, uint noise, Thing[] things)
    {
        float grain = Texture(u * 9, v * 9, noise) + (0.5f * Texture(u * 40, v * 40, noise + 7));
        Vector3 colour = _wall * (1 + (0.22f * _contrast * grain)) * (0.85f + (0.3f * v / _horizon));
        if (_style == Style.Park)
        {
            // Sky above, leaves below.
            float leaves = _horizon * (0.45f + (0.25f * Texture(u * 4, 3, noise + 3)));
            colour = v < leaves
                ? Interpolate.Mix(new Vector3(175, 190, 210), new Vector3(205, 210, 214), v / leaves)
                : new Vector3(138, 156, 128) * (1 + (0.5f * _contrast * Texture(u * 24, v * 24, noise + 5)));
        }

        foreach (Thing thing in things)
        {
            if (thing.Covers(u, v))
            {
                colour = thing.Colour * (1 + (0.12f * grain));
            }
        }

        return colour;
    }

    private Vector3 Floor(float u, float v, uint noise, float tile)
    {
        // A plane seen at a slant: the farther, the finer.
        float depth = 0.25f / (v - _horizon + 0.12f);
        float across = (u - 0.7f) * depth;
        float grain = (0.6f * Texture(across * 14, depth * 22, noise + 11)) + (0.4f * Texture(u * 60, v * 60, noise + 13));
        Vector3 colour = _floor * (1 + (0.25f * _contrast * grain)) * (0.8f + (0.35f * (v - _horizon)));
        if (_style == Style.Park)
        {
            colour = new Vector3(148, 158, 130) * (1 + (0.35f * _contrast * grain));
        }
        else if (_style == Style.Room && (Joint(across, tile * 2) || Joint(depth, tile * 3)))
        {
            colour *= 0.82f;
        }
        else if (_style == Style.Street && depth is > 1.05f and < 1.2f)
        {
            colour *= 1.25f;
        }

        return colour;

        static bool Joint(float position, float spacing)
        {
            float share = position / spacing;
            return share - MathF.Floor(share) < 0.06f;
        }
    }

    /// <summary>Smooth value noise between −1 and 1.</summary>
    private static float Texture(float x, float y, uint seed)
    {
        int column = (int)MathF.Floor(x);
        int row = (int)MathF.Floor(y);
        float fx = x - column;
        float fy = y - row;
        fx *= fx * (3 - (2 * fx));
        fy *= fy * (3 - (2 * fy));
        float upper = Interpolate.Mix(Hash(column, row, seed), Hash(column + 1, row, seed), fx);
        float lower = Interpolate.Mix(Hash(column, row + 1, seed), Hash(column + 1, row + 1, seed), fx);
        return Interpolate.Mix(upper, lower, fy);

        static float Hash(int x, int y, uint seed)
        {
            uint hash = ((uint)x * 0x9E3779B1) ^ ((uint)y * 0x85EBCA77) ^ (seed * 0xC2B2AE3D);
            hash = (hash ^ (hash >> 15)) * 0x2C1B3C6D;
            hash = (hash ^ (hash >> 12)) * 0x297A2D39;
            hash ^= hash >> 15;
            return ((hash >> 8) * (2f / (1 << 24))) - 1;
        }
    }

    private static Figure Person(ref Draws random)
    {
        float skinTone = random.Unit();
        Vector3 skin = Interpolate.Mix(new Vector3(236, 196, 170), new Vector3(120, 80, 58), skinTone);
        Vector3 hair = Interpolate.Mix(new Vector3(35, 26, 22), new Vector3(150, 110, 60), random.Unit() * random.Unit());
        // Dark clothes in light places: figures stand out in every scene, whatever their colours.
        Vector3 shirt = Colour(random.Unit(), random.Between(0.4f, 0.9f), random.Between(0.25f, 0.5f));
        Vector3 trousers = Colour(random.Unit(), random.Between(0.15f, 0.6f), random.Between(0.1f, 0.28f));
        return new Figure(random.Between(0.94f, 1.04f), random.Between(1.05f, 1.35f), shirt, trousers, skin, hair);
    }

    /// <summary>Hue, saturation and value, each 0 to 1, as RGB 0 to 255.</summary>
    private static Vector3 Colour(float hue, float saturation, float value)
    {
        static float Channel(float hue, float offset)
        {
            float position = (hue + offset) * 6 % 6;
            return Math.Clamp(MathF.Abs(position - 3) - 1, 0, 1);
        }

        var pure = new Vector3(Channel(hue, 0), Channel(hue, 2 / 3f), Channel(hue, 1 / 3f));
        return Interpolate.Mix(Vector3.One, pure, saturation) * (value * 255);
    }

    /// <summary>A window, door, tree trunk or house front: an upright box.</summary>
    private readonly record struct Thing(float Left, float Right, float Top, float Bottom, Vector3 Colour)
    {
        public static Thing Random(Style style, float horizon, ref Draws random)
        {
            float left = random.Between(0, 1.6f);
            float width = style == Style.Park ? random.Between(0.02f, 0.05f) : random.Between(0.08f, 0.3f);
            float top = style == Style.Street ? random.Between(0, 0.2f) : random.Between(0.05f, 0.25f);
            float bottom = style == Style.Park || random.Chance(0.4f)
                ? horizon
                : MathF.Min(horizon - 0.03f, top + random.Between(0.1f, 0.25f));
            Vector3 colour = style == Style.Park
                ? new Vector3(112, 98, 84)
                : Scene.Colour(random.Unit(), random.Between(0, 0.22f), random.Between(0.5f, 0.85f));
            return new Thing(left, left + width, top, bottom, colour);
        }

        public bool Covers(float u, float v) => u >= Left && u < Right && v >= Top && v < Bottom;
    }
}
