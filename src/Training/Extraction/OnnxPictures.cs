using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Extraction;

/// <summary>The input of an ONNX file that takes pictures or clips of them, and how frames enter there.</summary>
internal static class OnnxPictures
{
    /// <summary>Key of the file's metadata under which there is a text as <see cref="FrameInput"/> reads it.</summary>
    private const string InputKey = "cudatrainer_input";

    private const int UsualSize = 224;

    /// <exception cref="FileFormatException">It has no such input, or another beside it.</exception>
    public static OnnxModelInput InputOf(OnnxModel model)
    {
        if (model.Inputs.Count != 1)
        {
            string names = string.Join(", ", model.Inputs.Select(input => $"'{input.Name}'"));
            throw new FileFormatException(model.Path, $"it has {model.Inputs.Count} inputs ({names}); an image network has one",
                "Export it with the pictures as its only input.");
        }

        OnnxModelInput only = model.Inputs[0];
        return only.Type is ElementType.F32 or ElementType.U8 && only.Shape is null or { Count: 4 or 5 }
            ? only
            : throw new FileFormatException(model.Path,
                $"its input '{only.Name}' is {only.Type?.ToString() ?? "of another type"} [{string.Join(", ", only.Shape ?? [])}]; " +
                    "that of an image network is F32 or U8 [n, 3, height, width] or [n, height, width, 3], of a video network " +
                    "[n, 3, frames, height, width] or [n, frames, height, width, 3]",
                "Export it for pictures.");
    }

    /// <summary>How frames enter the network: what is known, what the file says, what the options say, and the size of its input.</summary>
    /// <param name="known">Of the network, in parts as <see cref="FrameInput.With"/> reads them.</param>
    /// <exception cref="RunException">An option is none.</exception>
    /// <exception cref="FileFormatException">Something does not fit the input.</exception>
    public static FrameInput FramesFor(OnnxModel model, OnnxModelInput input, string known, FeatureOptions options) =>
        Fit(model, input, FrameOf(model, known, options), options.Frames);

    /// <summary>What is known of a file's frames: by default, by the file, and by the options, which win.</summary>
    private static FrameInput FrameOf(OnnxModel model, string known, FeatureOptions options)
    {
        FrameInput frame = FrameInput.Default.With(known);
        try
        {
            frame = frame.With(Denoted(model)).With(model.Metadata.GetValueOrDefault(InputKey, string.Empty));
        }
        catch (FormatException exception)
        {
            throw new FileFormatException(model.Path, $"its metadata '{InputKey}': {exception.Message}",
                "Correct it there.", exception);
        }

        try
        {
            string asked = options.Preprocess == PreprocessChoice.Auto ? string.Empty : options.Preprocess.ToString().ToLowerInvariant();
            return frame.With(asked).With(options.BackboneInput ?? string.Empty);
        }
        catch (FormatException exception)
        {
            throw new RunException($"{SettingName.Of(nameof(VideoOptions.BackboneInput))}: {exception.Message}", innerException: exception);
        }
    }

    /// <summary>What ONNX's own metadata for pictures say (onnx/docs/MetadataProps.md).</summary>
    private static string Denoted(OnnxModel model)
    {
        string order = model.Metadata.GetValueOrDefault("Image.BitmapPixelFormat") switch { "Bgr8" => "bgr ", "Rgb8" => "rgb ", _ => "" };
        return order + model.Metadata.GetValueOrDefault("Image.NominalPixelRange") switch
        {
            "NominalRange_0_255" => "scale=1 mean=0 deviation=1",
            "Normalized_0_1" => "scale=255 mean=0 deviation=1",
            "Normalized_1_1" => "scale=127.5 mean=1 deviation=1",
            _ => string.Empty,
        };
    }

    /// <summary>With the size, the layout and the type of the network's input.</summary>
    /// <param name="frames">Sampled per clip: what a video network takes that leaves it open.</param>
    private static FrameInput Fit(OnnxModel model, OnnxModelInput input, FrameInput frame, int frames)
    {
        OnnxDimension open = "?";
        IReadOnlyList<OnnxDimension> shape = input.Shape ?? [open, open, open, open];
        bool first = frame.ChannelsFirst ?? (shape[1] == 3 || shape[^1] != 3), isVideo = shape.Count == 5;
        OnnxDimension channels = first ? shape[1] : shape[^1];
        OnnxDimension[] picture = [.. shape.Skip(first ? 2 : 1).Take(shape.Count - 2)];
        (OnnxDimension height, OnnxDimension width) = (picture[^2], picture[^1]);
        string name = SettingName.Of(nameof(VideoOptions.BackboneInput)),
            takes = $"its input '{input.Name}' is [{string.Join(", ", shape)}]";
        if (channels.Symbol is null && channels.Length != 3)
        {
            throw new FileFormatException(model.Path,
                $"{takes}: as {(first ? "nchw" : "nhwc")} it has {channels.Length} channels, frames have 3",
                $"Say with {name} nchw or nhwc which of them is the channels, or use a network for colours.");
        }

        (int wide, int high) = (Length(width, frame.Width), Length(height, frame.Height));
        int clip = !isVideo ? 0 : picture[0].Symbol is null ? Length(picture[0], 0) : frame.Clip > 0 ? frame.Clip : frames;
        if ((frame.Width > 0 && frame.Width != wide) || (frame.Height > 0 && frame.Height != high)
            || (frame.Clip > 0 && frame.Clip != clip))
        {
            string asked = $"{frame.Width}x{frame.Height} pixels{(frame.Clip > 0 ? $" and clips of {frame.Clip}" : "")}";
            throw new FileFormatException(model.Path, $"{takes}, which does not fit frames of {asked}",
                $"Leave the size out of {name}: the file says it.");
        }

        if (frame.IsBytes && input.Type != ElementType.U8)
        {
            throw new FileFormatException(model.Path, $"its input '{input.Name}' takes floats, not bytes", $"Leave uint8 out of {name}.");
        }

        return frame with { ChannelsFirst = first, Width = wide, Height = high, Clip = clip, IsBytes = input.Type == ElementType.U8 };

        static int Length(OnnxDimension given, int asked) =>
            given.Symbol is null ? (int)Math.Min(given.Length, int.MaxValue) : asked > 0 ? asked : UsualSize;
    }
}
