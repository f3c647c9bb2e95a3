using System.Buffers;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace CudaTrainer.Serve;

/// <summary>Takes the video out of a request, in pieces, to a file: the first file of a form, or the whole body.</summary>
/// <param name="limit">Bytes of the largest video taken.</param>
/// <param name="folder">Where uploads are written.</param>
internal sealed class UploadReader(long limit, UploadFolder folder)
{
    /// <summary>What a form may have around its file.</summary>
    private const int FormBytes = 1 << 20;

    private const int PieceBytes = 1 << 17;
    private const int LongestName = 200;
    private const int LongestBoundary = 200;
    private const int MostParts = 16;
    private const string Unnamed = "video";

    /// <returns>The name for display and the size.</returns>
    /// <param name="file">Created; may be left in part when this fails.</param>
    /// <exception cref="ApiException">It is empty, too large or not well-formed.</exception>
    public async Task<(string Name, long Bytes)> Read(HttpRequest request, string file, CancellationToken stop)
    {
        bool isForm = MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type)
            && type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase);
        if (request.ContentLength > limit + (isForm ? FormBytes : 0))
        {
            throw TooLarge();
        }

        (string name, long bytes) = isForm
            ? await ReadForm(new MultipartReader(BoundaryOf(type!),
                request.Body)
            { HeadersCountLimit = 16, BodyLengthLimit = limit + FormBytes }, file, stop)
            : (request.Query["name"].ToString(), await Copy(request.Body, file, stop));
        return bytes > 0
            ? (Displayable(name), bytes)
            : throw new ApiException(StatusCodes.Status400BadRequest, "empty", "The upload is empty.");
    }

    /// <summary>The last part of a path, without what could move a cursor or turn the text around.</summary>
    internal static string Displayable(string name)
    {
        string last = name[(name.AsSpan().LastIndexOfAny('/', '\\') + 1)..];
        string visible = string.Concat(last.Where(letter => char.GetUnicodeCategory(letter) is not (
            UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse))).Trim();
        if (visible.Length > LongestName)
        {
            // Not through the middle of a surrogate pair.
            visible = visible[..(char.IsHighSurrogate(visible[LongestName - 1]) ? LongestName - 1 : LongestName)] + "…";
        }

        return visible.Length == 0 ? Unnamed : visible;
    }

    private static string BoundaryOf(MediaTypeHeaderValue type)
    {
        string boundary = HeaderUtilities.RemoveQuotes(type.Boundary).ToString();
        return boundary.Length is > 0 and <= LongestBoundary ? boundary : throw BadForm("it has no boundary");
    }

    private async Task<(string Name, long Bytes)> ReadForm(MultipartReader reader, string file, CancellationToken stop)
    {
        (string Name, long Bytes)? video = null;
        try
        {
            for (int parts = 0; await reader.ReadNextSectionAsync(stop) is { } part; parts++)
            {
                if (parts == MostParts)
                {
                    throw BadForm($"it has more than {MostParts} parts");
                }

                if (FileNameOf(part) is not { } name)
                {
                    continue;
                }

                if (video is not null)
                {
                    throw BadForm("it has more than one file; upload one video at a time");
                }

                video = (name, await Copy(part.Body, file, stop));
            }
        }
        catch (InvalidDataException exception)
        {
            throw BadForm(exception.Message);
        }
        catch (IOException exception) when (exception is not BadHttpRequestException)
        {
            throw BadForm(exception.Message);
        }

        return video ?? throw BadForm("it has no file");
    }

    /// <returns>Null for a part that is no file.</returns>
    private static string? FileNameOf(MultipartSection part)
    {
        try
        {
            return part.GetContentDispositionHeader() is { } header && header.IsFileDisposition()
                ? new FileMultipartSection(part, header).FileName
                : null;
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            throw BadForm("the name of its file is in no character set that is known here");
        }
    }

    private async Task<long> Copy(Stream body, string path, CancellationToken stop)
    {
        byte[] piece = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            await using FileStream file = Create(path);
            long bytes = 0;
            while (await body.ReadAsync(piece, stop) is > 0 and int read)
            {
                bytes += read;
                if (bytes > limit)
                {
                    throw TooLarge();
                }

                await Write(file, piece.AsMemory(0, read), stop);
            }

            return bytes;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }
    }

    private FileStream Create(string path)
    {
        try
        {
            return folder.Open(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw NoRoom();
        }
    }

    private static ApiException NoRoom() =>
        new(StatusCodes.Status507InsufficientStorage, "no_room", "The server has no room for the upload.");

    private static async Task Write(FileStream file, ReadOnlyMemory<byte> piece, CancellationToken stop)
    {
        try
        {
            await file.WriteAsync(piece, stop);
        }
        catch (IOException)
        {
            throw NoRoom();
        }
    }

    private ApiException TooLarge() => new(
        StatusCodes.Status413PayloadTooLarge, "too_large",
            string.Create(CultureInfo.InvariantCulture, $"The video is larger than {limit / 1e6:0.###} MB, the most that is taken."));

    private static ApiException BadForm(string reason) =>
        new(StatusCodes.Status400BadRequest, "bad_form", $"The form cannot be read: {reason.TrimEnd('.')}.");
}
