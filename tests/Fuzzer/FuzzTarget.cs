using System.Text;
using CudaTrainer.Formats;

namespace CudaTrainer.Fuzzer;

/// <summary>A reader of the product and what it takes to feed it.</summary>
/// <param name="name">As the script and the folders of inputs call it.</param>
internal abstract class FuzzTarget(string name)
{
    public string Name => name;

    /// <summary>What the format is made of, for the mutator to put in.</summary>
    public virtual IReadOnlyList<byte[]> Words => [];

    /// <summary>Inputs that the reader takes. A target whose own seeds are refused would only ever test its door.</summary>
    public abstract IEnumerable<byte[]> Seeds();

    /// <summary>Sets checksums right, so that what lies behind them is tried as well; the same input where there are none.</summary>
    public virtual byte[] Mend(byte[] input) => input;

    /// <summary>Gives the reader the input.</summary>
    /// <param name="folder">To write files to; what the last input left is still there.</param>
    public abstract void Read(byte[] input, string folder);

    /// <summary>Whether the reader says of itself that it ends like this.</summary>
    public virtual bool IsDocumented(Exception exception) => exception is FileFormatException;

    protected static byte[][] WordsOf(params IEnumerable<string> texts) => [.. texts.Select(Encoding.Latin1.GetBytes)];

    /// <summary>Writes the input to a file of the folder, and returns its path.</summary>
    protected static string FileOf(byte[] input, string folder, string file = "input")
    {
        string path = Path.Combine(folder, file);
        File.WriteAllBytes(path, input);
        return path;
    }

    /// <summary>Files of <c>tests/golden</c> by pattern.</summary>
    protected static IEnumerable<byte[]> Golden(string pattern) =>
        Directory.EnumerateFiles(Path.Combine(Places.Root, "tests", "golden"), pattern).Order(StringComparer.Ordinal)
            .Select(File.ReadAllBytes);
}
