using System.Globalization;

namespace CudaTrainer.Training.Options;

/// <summary>
/// How a frame becomes the input of an image network: its size, the order of its numbers, and (pixel / scale − mean) / deviation for each
/// channel. Written as one text, such as <c>224x224 nchw bgr scale=1 mean=104,117,123 deviation=1,1,1</c>: on the command line, in the
/// metadata of ONNX files, in the keys of caches and in models.
/// </summary>
internal sealed record FrameInput
{
    /// <summary>How the text may be written.</summary>
    public const string Form = "parts such as 224x224 (width x height; with a third length, frames of a clip), nchw or nhwc, rgb or bgr, " +
        "uint8, scale=255, mean=0.485,0.456,0.406 and deviation=0.229,0.224,0.225 (one number or three, in the network's order of " +
        "channels), or torch or caffe for the usual ones";

    private const int MostPixels = 4096;
    private const string Torch = "rgb scale=255 mean=0.485,0.456,0.406 deviation=0.229,0.224,0.225",
        Caffe = "bgr scale=1 mean=103.939,116.779,123.68 deviation=1";

    /// <summary>0 where nothing says it.</summary>
    public int Width { get; init; }

    /// <summary>0 where nothing says it.</summary>
    public int Height { get; init; }

    /// <summary>Frames that a video network takes as one clip; 0 for networks of single frames, or where nothing says it.</summary>
    public int Clip { get; init; }

    /// <summary>Whether a channel's numbers lie together ([3, (frames,) height, width]) or a pixel's ([(frames,) height, width, 3]); null
    /// where nothing says it.</summary>
    public bool? ChannelsFirst { get; init; }

    /// <summary>Whether blue is the first channel.</summary>
    public bool IsBgr { get; init; }

    /// <summary>Whether the network takes the pixels themselves, and normalises them.</summary>
    public bool IsBytes { get; init; }

    public double Scale { get; init; } = 255;

    /// <summary>Of each channel, in the network's order.</summary>
    public IReadOnlyList<double> Mean { get; init; } = [0, 0, 0];

    /// <summary>Of each channel, in the network's order.</summary>
    public IReadOnlyList<double> Deviation { get; init; } = [1, 1, 1];

    /// <summary>What torchvision's networks take; size and layout are open.</summary>
    public static FrameInput Default { get; } = new FrameInput().With(Torch);

    /// <summary>This with the parts that a text names.</summary>
    /// <exception cref="FormatException">A part is none; the message says which and what is expected.</exception>
    public FrameInput With(string text)
    {
        FrameInput input = this;
        foreach (string part in text.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            input = input.WithPart(part);
        }

        return input;
    }

    /// <summary>The whole of it, as <see cref="With"/> reads it.</summary>
    public override string ToString()
    {
        string layout = (ChannelsFirst == false, Clip > 0) switch
        {
            (false, false) => "nchw",
            (true, false) => "nhwc",
            (false, true) => "ncthw",
            (true, true) => "nthwc",
        };
        string order = $"{Width}x{Height}{(Clip > 0 ? $"x{Clip}" : "")} {layout} {(IsBgr ? "bgr" : "rgb")}";
        return IsBytes
            ? $"{order} uint8"
            : string.Create(CultureInfo.InvariantCulture, $"{order} scale={Scale:R} mean={List(Mean)} deviation={List(Deviation)}");

        static string List(IReadOnlyList<double> numbers) =>
            string.Join(',', numbers.Select(number => number.ToString("R", CultureInfo.InvariantCulture)));
    }

    /// <summary>Writes the numbers of a frame.</summary>
    /// <param name="rgb">[height, width, 3].</param>
    /// <param name="numbers">Of the frame, or of the clip that it is in, in the network's order.</param>
    /// <param name="place">Of the frame in the clip.</param>
    public void Fill(ReadOnlySpan<byte> rgb, Span<float> numbers, int place = 0)
    {
        Span<float> values = stackalloc float[256];
        for (int channel = 0; channel < 3; channel++)
        {
            for (int pixel = 0; pixel < values.Length; pixel++)
            {
                values[pixel] = (float)(((pixel / Scale) - Mean[channel]) / Deviation[channel]);
            }

            (int first, int step) = Places(channel, place, rgb.Length);
            int source = IsBgr ? 2 - channel : channel;
            for (int i = 0; i < rgb.Length / 3; i++)
            {
                numbers[first + (i * step)] = values[rgb[(3 * i) + source]];
            }
        }
    }

    /// <summary>Writes the bytes of a frame, for a network with <see cref="IsBytes"/>.</summary>
    /// <inheritdoc cref="Fill(ReadOnlySpan{byte}, Span{float}, int)" path="/param"/>
    public void Fill(ReadOnlySpan<byte> rgb, Span<byte> numbers, int place = 0)
    {
        for (int channel = 0; channel < 3; channel++)
        {
            (int first, int step) = Places(channel, place, rgb.Length);
            int source = IsBgr ? 2 - channel : channel;
            for (int i = 0; i < rgb.Length / 3; i++)
            {
                numbers[first + (i * step)] = rgb[(3 * i) + source];
            }
        }
    }

    /// <summary>Where the numbers of a frame's channel begin, and how far apart they are.</summary>
    /// <param name="numbers">Of a frame.</param>
    private (int First, int Step) Places(int channel, int place, int numbers) => ChannelsFirst == false
        ? ((place * numbers) + channel, 3)
        : (((channel * Math.Max(1, Clip)) + place) * (numbers / 3), 1);

    private FrameInput WithPart(string part)
    {
        if (part.IndexOf('=') is > 0 and int equals)
        {
            string value = part[(equals + 1)..];
            return part[..equals] switch
            {
                "scale" => this with { Scale = Numbers(part, value, most: 1, isDivisor: true)[0] },
                "mean" => this with { Mean = Numbers(part, value, most: 3, isDivisor: false) },
                "deviation" => this with { Deviation = Numbers(part, value, most: 3, isDivisor: true) },
                _ => throw Unknown(part),
            };
        }

        return part switch
        {
            "torch" => With(Torch),
            "caffe" => With(Caffe),
            "nchw" or "ncthw" => this with { ChannelsFirst = true },
            "nhwc" or "nthwc" => this with { ChannelsFirst = false },
            "rgb" => this with { IsBgr = false },
            "bgr" => this with { IsBgr = true },
            "uint8" => this with { IsBytes = true },
            _ when part.Split('x') is [string width, string height] && Length(width) is { } w && Length(height) is { } h =>
                this with { Width = w, Height = h },
            _ when part.Split('x') is [string width, string height, string clip] && Length(width) is { } w && Length(height) is { } h
                && Length(clip) is { } t => this with { Width = w, Height = h, Clip = t },
            _ => throw Unknown(part),
        };

        static int? Length(string text) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int length) && length is >= 1 and <= MostPixels
                ? length
                : null;
    }

    private static double[] Numbers(string part, string text, int most, bool isDivisor)
    {
        string[] items = text.Split(',');
        double[] numbers = [.. items.Select(item =>
            double.TryParse(item, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : double.NaN)];
        return (items.Length == 1 || items.Length == most) && numbers.All(number => double.IsFinite(number) && (!isDivisor || number > 0))
            ? items.Length == 1 ? [.. Enumerable.Repeat(numbers[0], most)] : numbers
            : throw Unknown(part);
    }

    private static FormatException Unknown(string part) => new($"\"{part}\" is not valid; expected {Form}");
}
