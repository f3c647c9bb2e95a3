namespace CudaTrainer.Data.Dataset;

/// <summary>The known pair of classes and the folder names they go by; any others are a <see cref="ClassList"/>.</summary>
public static class ClassLabel
{
    public const int Nonviolent = 0;

    /// <summary>The positive class.</summary>
    public const int Violent = 1;

    /// <summary>How many classes the pair has.</summary>
    public const int Count = 2;

    /// <summary>What a user may call a class folder, for messages.</summary>
    internal const string FolderNames =
        "violent, violence, fight or fights; nonviolent, non-violent, nonviolence, nofight, nonfight, no_fight or normal";

    /// <summary>The name in tables and files.</summary>
    public static string Name(int label) => label switch
    {
        Nonviolent => "nonviolent",
        Violent => "violent",
        _ => throw new ArgumentOutOfRangeException(nameof(label), label, "expected 0 or 1"),
    };

    /// <summary>Recognises a class folder's name in any case; hyphens, underscores and spaces do not count.</summary>
    public static bool TryParse(string folderName, out int label)
    {
        string letters = string.Concat(folderName.Where(c => c is not ('-' or '_' or ' '))).ToLowerInvariant();
        int? found = letters switch
        {
            "violent" or "violence" or "fight" or "fights" => Violent,
            "nonviolent" or "nonviolence" or "nofight" or "nonfight" or "nofights" or "nonfights" or "normal" => Nonviolent,
            _ => null,
        };
        label = found ?? default;
        return found is not null;
    }
}
