using System.Globalization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Formats;

namespace CudaTrainer.Live.Cameras;

/// <summary>The cameras that are to be watched: from a table, or from addresses alone.</summary>
internal static class CameraList
{
    private const string Hint = "The first line names the columns: name,address and, where wanted, checkpoint,threshold,zone.";

    private static readonly string[] Columns = ["name", "address", "checkpoint", "threshold", "zone"];

    /// <summary>A table of cameras: docs/live.md.</summary>
    /// <exception cref="FileFormatException">It is unusable; the message shows no password.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static IReadOnlyList<Camera> Read(string path)
    {
        IReadOnlyList<CsvRecord> records = CsvFile.Read(path);
        if (records.Count < 2)
        {
            throw new FileFormatException(path, "it names no camera", Hint);
        }

        if (records[0].Fields.FirstOrDefault(field => !Columns.Contains(field.Trim(), StringComparer.OrdinalIgnoreCase)) is { } unknown)
        {
            throw new FileFormatException(path, $"line {records[0].Line}: the column '{CameraAddress.Shown(unknown)}' is unknown", Hint);
        }

        int[] places = [.. Columns.Select((name, i) => ClipTable.Column(path, records[0], name, Hint, required: i < 2))];
        List<Camera> cameras = [];
        foreach (CsvRecord record in records.Skip(1))
        {
            if (record.Fields.Count != records[0].Fields.Count)
            {
                throw new FileFormatException(path,
                    $"line {record.Line} has {record.Fields.Count} fields, expected {records[0].Fields.Count} as in the first line");
            }

            string[] values = [.. places.Select(place => place < 0 ? "" : record.Fields[place].Trim())];
            try
            {
                Add(cameras, values, record.Line);
            }
            catch (FormatException exception)
            {
                throw new FileFormatException(path, $"line {record.Line}: {exception.Message}");
            }
        }

        return cameras;
    }

    /// <summary>Cameras called by their addresses.</summary>
    /// <exception cref="FormatException">One is no address, or is given twice.</exception>
    public static IReadOnlyList<Camera> Of(IEnumerable<string> addresses)
    {
        List<Camera> cameras = [];
        foreach (string address in addresses)
        {
            Add(cameras, ["", address, "", "", ""]);
        }

        return cameras;
    }

    /// <summary>A part of the picture as <c>left,top,width,height</c> in fractions of it.</summary>
    /// <exception cref="FormatException">It is none.</exception>
    public static PictureZone ZoneOf(string text)
    {
        double[] numbers = [.. text.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries)
            .Select(part => Number(part) ?? double.NaN)];
        PictureZone zone = numbers is [var left, var top, var width, var height] ? new PictureZone(left, top, width, height) : default;
        return zone.IsValid
            ? zone
            : throw new FormatException(
                $"'{CameraAddress.Shown(text)}' is no zone: left,top,width,height in fractions of the picture, as in 0.25,0,0.5,1");
    }

    private static void Add(List<Camera> cameras, string[] values, int line = 0)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (i != 1 && (values[i].Contains("://", StringComparison.Ordinal) || CameraAddress.IsBareLogin(values[i])))
            {
                // Not repeated: it may hold a password.
                throw new FormatException($"an address stands in the column '{Columns[i]}'");
            }
        }

        CameraAddress address = CameraAddress.Parse(values[1]);
        string name = values[0].Length > 0 ? values[0] : NameOf(address);
        if (name.Any(char.IsControl))
        {
            throw new FormatException("a name has a control character");
        }

        if (cameras.Any(camera => camera.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))
        {
            throw new FormatException($"the camera '{name}' is there twice");
        }

        double? threshold = null;
        if (values[3].Length > 0)
        {
            threshold = Number(values[3]) is >= 0 and <= 1 and var number
                ? number
                : throw new FormatException($"the threshold '{values[3]}' is no number from 0 to 1");
        }

        cameras.Add(new Camera(name, address)
        {
            Checkpoint = values[2].Length > 0 ? values[2] : null,
            Threshold = threshold,
            Line = line,
            Zone = values[4].Length > 0 ? ZoneOf(values[4]) : null,
        });
    }

    private static double? Number(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : null;

    /// <summary>The address without what is the same for most.</summary>
    private static string NameOf(CameraAddress address)
    {
        string text = address.Text;
        if (address.Kind == CameraKind.File)
        {
            return Path.GetFileName(text.TrimEnd('/')) is { Length: > 0 } file ? file : text;
        }

        int colon = text.IndexOf("://", StringComparison.Ordinal);
        return colon >= 0 ? text[(colon + 3)..] : text;
    }
}
