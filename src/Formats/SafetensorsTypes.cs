using System.Collections.Immutable;

namespace CudaTrainer.Formats;

/// <summary>Element types as safetensors spells and orders them.</summary>
internal static class SafetensorsTypes
{
    /// <summary>The order of tensors in a file: larger alignment first, as the reference implementation has it.</summary>
    private static readonly ImmutableArray<(ElementType Type, string Name)> DescendingAlignment =
    [
        (ElementType.U64, "U64"), (ElementType.I64, "I64"), (ElementType.F64, "F64"),
        (ElementType.F32, "F32"), (ElementType.U32, "U32"), (ElementType.I32, "I32"),
        (ElementType.BF16, "BF16"), (ElementType.F16, "F16"), (ElementType.U16, "U16"), (ElementType.I16, "I16"),
        (ElementType.I8, "I8"), (ElementType.U8, "U8"), (ElementType.Bool, "BOOL"),
    ];

    public static bool TryParse(string name, out ElementType type)
    {
        foreach ((ElementType Type, string Name) known in DescendingAlignment)
        {
            if (known.Name == name)
            {
                type = known.Type;
                return true;
            }
        }

        type = default;
        return false;
    }

    public static string NameOf(ElementType type) => DescendingAlignment[Rank(type)].Name;

    public static int Rank(ElementType type)
    {
        for (int rank = 0; rank < DescendingAlignment.Length; rank++)
        {
            if (DescendingAlignment[rank].Type == type)
            {
                return rank;
            }
        }

        throw new ArgumentOutOfRangeException(nameof(type), type, null);
    }
}
