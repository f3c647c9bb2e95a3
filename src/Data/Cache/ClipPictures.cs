using System.Globalization;
using System.Text;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Data.Cache;

/// <summary>What a clip's pictures look like.</summary>
/// <param name="FrameRate">Frames a second; 0 when unknown.</param>
/// <param name="Height">Rows as displayed.</param>
/// <param name="Seconds">The clip's length.</param>
internal readonly record struct ClipPicture(PictureStatistics Statistics, double FrameRate, int Height, double Seconds);

/// <summary>
/// What the pictures of clips look like, by the clips' content: <see cref="FileName"/> beside the features of motion, whose decoding it
/// comes from. A title line, then <c>CONTENT LUMINANCE CONTRAST SHARPNESS NOISE FRAME_RATE HEIGHT SECONDS</c> for each clip.
/// </summary>
/// <remarks>
/// No feature depends on it, so a clip that is not in it, as in caches of earlier versions, is not decoded again for it. Lines are added as
/// clips are extracted; what a killed process left of one is dropped by the next.
/// </remarks>
internal sealed class ClipPictures
{
    public const string FileName = "pictures.txt";

    private const string Title = "cudatrainer pictures 1\n";

    private readonly string _path;
    private readonly Dictionary<string, ClipPicture> _pictures = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private bool _isWritable;

    private ClipPictures(string path) => _path = path;

    /// <summary>Reads what a folder has; nothing where there is no such file, or one of another version.</summary>
    public static ClipPictures Open(string directory)
    {
        var pictures = new ClipPictures(Path.Combine(directory, FileName));
        pictures.Load(pictures.WholeLines() ?? string.Empty);
        return pictures;
    }

    /// <summary>The same for the one process that adds to it.</summary>
    public static ClipPictures OpenToWrite(string directory)
    {
        ClipPictures pictures = Open(directory);
        try
        {
            string? lines = pictures.WholeLines();
            using FileStream file = new(pictures._path, FileMode.OpenOrCreate);
            file.SetLength(lines?.Length ?? 0);
            if (file.Length == 0)
            {
                file.Write(Encoding.ASCII.GetBytes(Title));
            }

            pictures._isWritable = true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Models then say less of their clips; features are as good without.
        }

        return pictures;
    }

    public ClipPicture? Find(string contentHash)
    {
        lock (_lock)
        {
            return _pictures.TryGetValue(contentHash, out ClipPicture picture) ? picture : null;
        }
    }

    /// <summary>Notes a clip whose motion was measured. Thread-safe; nothing where a file cannot be written.</summary>
    public void Add(string contentHash, in VideoInfo info)
    {
        if (info.Pictures is not { } statistics)
        {
            return;
        }

        var picture = new ClipPicture(statistics, info.FrameRate, info.Height, info.Duration.TotalSeconds);
        lock (_lock)
        {
            _pictures[contentHash] = picture;
            try
            {
                if (_isWritable)
                {
                    File.AppendAllText(_path, string.Create(CultureInfo.InvariantCulture,
                        $"{contentHash} {statistics.Luminance:R} {statistics.Contrast:R} {statistics.Sharpness:R} {statistics.Noise:R} ") +
                        string.Create(CultureInfo.InvariantCulture, $"{picture.FrameRate:R} {picture.Height} {picture.Seconds:R}\n"));
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                _isWritable = false;
            }
        }
    }

    /// <summary>Up to the last line that has an end; null where there is no file of this version.</summary>
    private string? WholeLines()
    {
        try
        {
            string text = File.ReadAllText(_path, Encoding.Latin1);
            return text.StartsWith(Title, StringComparison.Ordinal) ? text[..(text.LastIndexOf('\n') + 1)] : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private void Load(string text)
    {
        foreach (string line in text.Split('\n').Skip(1))
        {
            double[] numbers = [.. line.Split(' ').Skip(1).Select(word =>
                double.TryParse(word, CultureInfo.InvariantCulture, out double number) ? number : double.NaN)];
            if (numbers.Length == 7 && numbers.All(double.IsFinite))
            {
                _pictures[line.Split(' ')[0]] = new ClipPicture(
                    new PictureStatistics(numbers[0], numbers[1], numbers[2], numbers[3]), numbers[4], (int)numbers[5], numbers[6]);
            }
        }
    }
}
