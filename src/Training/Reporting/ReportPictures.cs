using System.Diagnostics;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Pictures;

namespace CudaTrainer.Training.Reporting;

/// <summary>A picture for a page.</summary>
/// <param name="Source">A data URI.</param>
/// <param name="Width">In pixels of the page, undistorted.</param>
/// <param name="Height">Likewise.</param>
internal sealed record Picture(string Source, int Width, int Height);

/// <summary>The pictures of a page by the clip's path, and why there are not more.</summary>
/// <param name="Stills">One frame from the middle.</param>
/// <param name="Films">Frames side by side, from first to last.</param>
/// <param name="Traits">What was measured of each of these clips.</param>
internal sealed record ReportPictures(IReadOnlyDictionary<string, Picture> Stills, IReadOnlyDictionary<string, Picture> Films,
    IReadOnlyDictionary<string, ClipTraits> Traits, string? Shortage)
{
    public const int StillWidth = 160, FilmCell = 80, MostFilmFrames = 24;

    /// <summary>Of data URIs together, so that a page stays below 5 MB.</summary>
    private const int MostCharacters = 3_500_000;

    private static readonly TimeSpan MostTime = TimeSpan.FromSeconds(20);

    public static ReportPictures None { get; } = new(new Dictionary<string, Picture>(), new Dictionary<string, Picture>(),
        new Dictionary<string, ClipTraits>(), null);

    /// <summary>Decodes what there is time and room for, in the order given.</summary>
    /// <param name="films">Clips whose frames the model saw are wanted.</param>
    /// <param name="stills">Clips of which one frame is enough.</param>
    public static ReportPictures Read(TrainingOptions options, IReadOnlyList<string> films, IReadOnlyList<string> stills,
        CancellationToken stop)
    {
        if (options.Datasets.Count == 0 || options.FeaturesDir is not null)
        {
            return None with { Shortage = "The run was trained on features, so there are no pictures." };
        }

        if (options.Datasets.FirstOrDefault(folder => !Directory.Exists(folder)) is { } gone)
        {
            return None with { Shortage = $"The videos are no longer in '{gone}', so there are no pictures." };
        }

        var pictures = (Stills: new Dictionary<string, Picture>(), Films: new Dictionary<string, Picture>(),
            Traits: new Dictionary<string, ClipTraits>());
        long began = Stopwatch.GetTimestamp();
        int characters = 0, missing = 0;
        try
        {
            foreach ((string path, bool isFilm) in films.Select(path => (path, true)).Concat(stills.Select(path => (path, false)))
                .Distinct())
            {
                bool enough = characters > MostCharacters || Stopwatch.GetElapsedTime(began) > MostTime;
                string file = DatasetFolders.FileOf(path, options.Datasets);
                (Picture Picture, ClipTraits Traits)? shown =
                    enough ? null : isFilm ? Film(file, Math.Min(options.Frames, MostFilmFrames), stop) : Still(file, stop);
                if (shown is not var (picture, traits))
                {
                    missing++;
                    continue;
                }

                // Films come first and have more frames to measure.
                pictures.Traits.TryAdd(path, traits);

                characters += picture.Source.Length;
                (isFilm ? pictures.Films : pictures.Stills)[path] = picture;
            }
        }
        catch (VideoException exception)
        {
            return new ReportPictures(pictures.Stills, pictures.Films, pictures.Traits, $"There are no pictures: {exception.Message}");
        }
        catch (OperationCanceledException)
        {
            return new ReportPictures(pictures.Stills, pictures.Films, pictures.Traits,
                "Pictures are missing because the run was asked to stop.");
        }

        return new ReportPictures(pictures.Stills, pictures.Films, pictures.Traits,
            missing == 0
            ? null
            : $"{Numbers.Plural(missing, "picture")} left out: the video is gone or damaged, or the page would grow too large.");
    }

    private static (Picture Picture, ClipTraits Traits)? Still(string path, CancellationToken stop)
    {
        const int DecodedHeight = 120, Samples = 3;
        byte[] frames = new byte[Samples * DecodedHeight * StillWidth * 3];
        return Decode(path, Samples, frames, StillWidth, DecodedHeight, stop) is not { } info
            ? null
            : (new Picture(DataUri(frames.AsSpan(frames.Length / Samples, frames.Length / Samples), StillWidth, DecodedHeight), StillWidth,
                HeightOf(info, StillWidth)), ClipTraits.Of(frames, Samples, info));
    }

    private static (Picture Picture, ClipTraits Traits)? Film(string path, int samples, CancellationToken stop)
    {
        const int DecodedHeight = 60, RowBytes = FilmCell * 3;
        byte[] frames = new byte[samples * DecodedHeight * RowBytes];
        if (Decode(path, samples, frames, FilmCell, DecodedHeight, stop) is not { } info)
        {
            return null;
        }

        byte[] film = new byte[frames.Length];
        for (int frame = 0; frame < samples; frame++)
        {
            for (int row = 0; row < DecodedHeight; row++)
            {
                frames.AsSpan(((frame * DecodedHeight) + row) * RowBytes, RowBytes)
                    .CopyTo(film.AsSpan(((row * samples) + frame) * RowBytes));
            }
        }

        return (new Picture(DataUri(film, samples * FilmCell, DecodedHeight), samples * FilmCell, HeightOf(info, FilmCell)),
            ClipTraits.Of(frames, samples, info));
    }

    private static VideoInfo? Decode(string path, int samples, byte[] frames, int width, int height, CancellationToken stop)
    {
        var options = new VideoReadOptions { Width = width, Height = height, TimeLimit = TimeSpan.FromSeconds(5) };
        VideoReadResult result = VideoReader.TryRead(path, samples, frames, options, stop);
        return result.Succeeded ? result.Info : null;
    }

    /// <summary>Frames are decoded into one shape; the page shows them in their own, within reason.</summary>
    private static int HeightOf(in VideoInfo info, int width) => info.Width <= 0
        ? width
        : (int)Math.Clamp(Math.Round((double)width * info.Height / info.Width), width / 3, width * 2);

    private static string DataUri(ReadOnlySpan<byte> rgb, int width, int height) => "data:image/png;base64,"
        + Convert.ToBase64String(Png.Encode(rgb, width, height));
}
