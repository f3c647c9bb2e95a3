using System.Collections.Frozen;

namespace CudaTrainer.Formats;

// What a restricted pickle can hold. Everything else is null, bool, long, double, string, byte[],
// List<object?> (a list) or object?[] (a tuple).

/// <summary>A dict or OrderedDict; pairs in order, keys not yet checked.</summary>
internal sealed class PickleDictionary
{
    public List<(object? Key, object? Value)> Items { get; } = [];
}

/// <summary>A <c>torch.XStorage</c> class.</summary>
internal sealed record PickleStorageClass(ElementType Type);

/// <summary>Where a tensor's elements are: the storage of that key, of so many elements.</summary>
internal sealed record PickleStorage(string Key, ElementType Type, long ElementCount);

/// <summary>A strided view of a storage; offset and strides in elements.</summary>
internal sealed record PickleTensor(PickleStorage Storage, long Offset, long[] Shape, long[] Strides);

/// <summary>The functions a state_dict's pickle may call; we perform them, nothing is looked up.</summary>
internal enum PickleFunction
{
    OrderedDictionary,
    Size,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
}

/// <summary>The only names a pickle may ask for.</summary>
internal static class PickleGlobals
{
    private static readonly FrozenDictionary<string, object> Allowed = new Dictionary<string, object>
    {
        ["collections.OrderedDict"] = PickleFunction.OrderedDictionary,
        ["torch.Size"] = PickleFunction.Size,
        ["torch._utils._rebuild_tensor"] = PickleFunction.RebuildTensor,
        ["torch._utils._rebuild_tensor_v2"] = PickleFunction.RebuildTensorV2,
        ["torch._utils._rebuild_parameter"] = PickleFunction.RebuildParameter,
        ["torch.DoubleStorage"] = new PickleStorageClass(ElementType.F64),
        ["torch.FloatStorage"] = new PickleStorageClass(ElementType.F32),
        ["torch.HalfStorage"] = new PickleStorageClass(ElementType.F16),
        ["torch.BFloat16Storage"] = new PickleStorageClass(ElementType.BF16),
        ["torch.LongStorage"] = new PickleStorageClass(ElementType.I64),
        ["torch.IntStorage"] = new PickleStorageClass(ElementType.I32),
        ["torch.ShortStorage"] = new PickleStorageClass(ElementType.I16),
        ["torch.CharStorage"] = new PickleStorageClass(ElementType.I8),
        ["torch.ByteStorage"] = new PickleStorageClass(ElementType.U8),
        ["torch.BoolStorage"] = new PickleStorageClass(ElementType.Bool),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static bool TryGet(string module, string name, out object? value) => Allowed.TryGetValue($"{module}.{name}", out value);
}
