using System.Buffers.Binary;
using System.Text;

namespace CudaTrainer.Formats;

/// <summary>Evaluates the pickles that <c>torch.save</c> writes for a state_dict. Runs no code of the file's choosing.</summary>
/// <remarks>
/// A pickle is a program for a stack machine that may call any Python function by name. This machine has no functions: it knows the names
/// in <see cref="PickleGlobals"/>, performs those itself and refuses all others, and it lacks the instructions that build objects. Time and
/// memory are bounded whatever the input: each instruction takes at least a byte and adds at most a fixed amount of memory, instructions
/// and input are limited, and nothing is copied twice (<see cref="Spend"/>). There is no recursion.
/// </remarks>
internal ref struct PickleMachine
{
    /// <summary>Instructions, and list items copied by calls. A state_dict takes about 60 a tensor.</summary>
    private const int Budget = 4_000_000;

    private const int MaxProtocol = 5;
    private const int MaxRank = 64;

    private readonly string _path;
    private readonly ReadOnlySpan<byte> _code;
    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = new();
    private readonly Dictionary<long, object?> _memo = [];
    private readonly Dictionary<string, PickleStorage> _storages = new(StringComparer.Ordinal);
    private int _position;
    private int _instruction;
    private int _spent;

    /// <param name="path">The file, for messages.</param>
    /// <param name="code">Starts with the pickle; may go on after it.</param>
    public PickleMachine(string path, ReadOnlySpan<byte> code)
    {
        _path = path;
        _code = code;
    }

    /// <summary>The storages that the pickle mentions, by key.</summary>
    public readonly IReadOnlyDictionary<string, PickleStorage> Storages => _storages;

    /// <summary>Bytes of the pickle, once it has run.</summary>
    public readonly int Position => _position;

    /// <summary>Runs to the STOP instruction.</summary>
    /// <returns>The pickled value; see PickleValues.cs for its types.</returns>
    /// <exception cref="FileFormatException">Malformed, too large, or it asks for something other than tensors.</exception>
    public object? Run()
    {
        while (true)
        {
            _instruction = _position;
            Spend(1);
            var opcode = (PickleOpcode)TakeByte();
            if (opcode == PickleOpcode.Stop)
            {
                return _stack.Count == 1 && _marks.Count == 0 ? _stack[0] : throw Malformed("it stops with an unfinished stack");
            }

            Execute(opcode);
        }
    }

    private void Execute(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.Protocol:
                if (TakeByte() is var protocol and > MaxProtocol)
                {
                    throw Malformed($"protocol {protocol} is newer than {MaxProtocol}");
                }

                break;
            case PickleOpcode.Frame:
                Take(sizeof(ulong));
                break;
            case PickleOpcode.Mark:
                _marks.Push(_stack.Count);
                break;
            case PickleOpcode.Pop:
                Pop();
                break;
            case PickleOpcode.PopMark:
                PopToMark();
                break;
            case PickleOpcode.Duplicate:
                Push(Peek());
                break;
            case PickleOpcode.Memoize:
                _memo[_memo.Count] = Peek();
                break;
            case PickleOpcode.BinPut:
                _memo[TakeByte()] = Peek();
                break;
            case PickleOpcode.LongBinPut:
                _memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Peek();
                break;
            case PickleOpcode.BinGet:
                PushMemo(TakeByte());
                break;
            case PickleOpcode.LongBinGet:
                PushMemo(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)));
                break;
            case PickleOpcode.Global:
                PushGlobal(TakeLine(), TakeLine());
                break;
            case PickleOpcode.StackGlobal:
                string name = Pop<string>("a name");
                PushGlobal(Pop<string>("a module name"), name);
                break;
            case PickleOpcode.Inst:
                throw Refused(TakeLine(), TakeLine());
            case PickleOpcode.Reduce:
                object?[] arguments = Pop<object?[]>("a tuple of arguments");
                Push(Call(Pop<PickleFunction>("a function"), arguments));
                break;
            case PickleOpcode.Build:
                SetState();
                break;
            case PickleOpcode.BinPersistentId:
                Push(LoadStorage(Pop<object?[]>("a storage's description")));
                break;
            default:
                if (!TryExecuteLiteral(opcode) && !TryExecuteCollection(opcode))
                {
                    throw Malformed(Enum.IsDefined(opcode)
                        ? $"instruction {opcode} does not occur in a state_dict; nothing was executed"
                        : $"byte 0x{(byte)opcode:x2} is no instruction");
                }

                break;
        }
    }

    private bool TryExecuteLiteral(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.None:
                Push(null);
                break;
            case PickleOpcode.NewTrue:
                Push(true);
                break;
            case PickleOpcode.NewFalse:
                Push(false);
                break;
            case PickleOpcode.BinInt:
                Push((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)));
                break;
            case PickleOpcode.BinInt1:
                Push((long)TakeByte());
                break;
            case PickleOpcode.BinInt2:
                Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)));
                break;
            case PickleOpcode.Long1:
                Push(ParseLong(Take(TakeByte())));
                break;
            case PickleOpcode.BinFloat:
                Push(BinaryPrimitives.ReadDoubleBigEndian(Take(8)));
                break;
            case PickleOpcode.ShortBinString or PickleOpcode.ShortBinUnicode:
                Push(ParseText(Take(TakeLength(sizeof(byte)))));
                break;
            case PickleOpcode.BinString or PickleOpcode.BinUnicode:
                Push(ParseText(Take(TakeLength(sizeof(uint)))));
                break;
            case PickleOpcode.BinUnicode8:
                Push(ParseText(Take(TakeLength(sizeof(ulong)))));
                break;
            case PickleOpcode.ShortBinBytes:
                Push(Take(TakeLength(sizeof(byte))).ToArray());
                break;
            case PickleOpcode.BinBytes:
                Push(Take(TakeLength(sizeof(uint))).ToArray());
                break;
            case PickleOpcode.BinBytes8:
                Push(Take(TakeLength(sizeof(ulong))).ToArray());
                break;
            default:
                return false;
        }

        return true;
    }

    private bool TryExecuteCollection(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.EmptyTuple:
                Push(Array.Empty<object?>());
                break;
            case PickleOpcode.Tuple1:
                Push(PopLast(1));
                break;
            case PickleOpcode.Tuple2:
                Push(PopLast(2));
                break;
            case PickleOpcode.Tuple3:
                Push(PopLast(3));
                break;
            case PickleOpcode.Tuple:
                Push(PopToMark());
                break;
            case PickleOpcode.EmptyList:
                Push(new List<object?>());
                break;
            case PickleOpcode.List:
                Push(new List<object?>(PopToMark()));
                break;
            case PickleOpcode.Append:
                object? item = Pop();
                Peek<List<object?>>("a list").Add(item);
                break;
            case PickleOpcode.Appends:
                object?[] items = PopToMark();
                Peek<List<object?>>("a list").AddRange(items);
                break;
            case PickleOpcode.EmptyDict:
                Push(new PickleDictionary());
                break;
            case PickleOpcode.Dict:
                object?[] pairs = PopToMark();
                Push(new PickleDictionary());
                SetItems(pairs);
                break;
            case PickleOpcode.SetItem:
                SetItems(PopLast(2));
                break;
            case PickleOpcode.SetItems:
                SetItems(PopToMark());
                break;
            default:
                return false;
        }

        return true;
    }

    private object? Call(PickleFunction function, object?[] arguments)
    {
        switch (function)
        {
            case PickleFunction.OrderedDictionary when arguments is []:
                return new PickleDictionary();
            case PickleFunction.OrderedDictionary when arguments is [List<object?> pairs]:
                // Python 2 wrote OrderedDict([[key, value], …]).
                Spend(pairs.Count);
                var dictionary = new PickleDictionary();
                foreach (object? pair in pairs)
                {
                    dictionary.Items.Add(pair is List<object?> or object?[] && pair is IReadOnlyList<object?> { Count: 2 } two
                        ? (two[0], two[1])
                        : throw Malformed("OrderedDict was given something other than pairs"));
                }

                return dictionary;
            case PickleFunction.Size when arguments is [object?[] dimensions]:
                return dimensions;
            case PickleFunction.RebuildTensor or PickleFunction.RebuildTensorV2
                when arguments is [PickleStorage storage, long offset, object?[] shape, object?[] strides, ..]:
                return new PickleTensor(storage, offset, ToNumbers(shape), ToNumbers(strides));
            case PickleFunction.RebuildParameter when arguments is [PickleTensor tensor, ..]:
                return tensor;
            default:
                throw Malformed($"{function} was given unexpected arguments");
        }
    }

    private readonly PickleStorage LoadStorage(object?[] description)
    {
        // The sixth item describes a view of another storage; PyTorch stopped writing those before version 0.4.
        if (description is not (
            ["storage", PickleStorageClass, string, string, long and >= 0] or ["storage", PickleStorageClass, string, string,
            long and >= 0, null]))
        {
            throw Malformed(description is [string kind, ..]
                ? $"a persistent id of kind '{Shorten(kind)}' is not a plain storage; it was not loaded"
                : "a persistent id is not a storage; it was not loaded");
        }

        var storage = new PickleStorage((string)description[2]!, ((PickleStorageClass)description[1]!).Type, (long)description[4]!);
        return _storages.TryAdd(storage.Key, storage) || _storages[storage.Key] == storage
            ? storage
            : throw Malformed($"storage '{Shorten(storage.Key)}' is described in two ways");
    }

    /// <summary>Python sets attributes here; of a state_dict's OrderedDict that is <c>_metadata</c>, which we do not need.</summary>
    private void SetState()
    {
        object? state = Pop();
        if (state is not PickleDictionary || Peek() is not PickleDictionary)
        {
            throw Malformed("it sets the state of something other than a dict; nothing was executed");
        }
    }

    private void SetItems(ReadOnlySpan<object?> keysAndValues)
    {
        PickleDictionary dictionary = Peek<PickleDictionary>("a dict");
        if (keysAndValues.Length % 2 != 0)
        {
            throw Malformed("a key lacks its value");
        }

        for (int i = 0; i < keysAndValues.Length; i += 2)
        {
            dictionary.Items.Add((keysAndValues[i], keysAndValues[i + 1]));
        }
    }

    private readonly long[] ToNumbers(object?[] values)
    {
        if (values.Length > MaxRank)
        {
            throw Malformed($"a tensor has more than {MaxRank} dimensions");
        }

        long[] numbers = new long[values.Length];
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = values[i] is long number ? number : throw Malformed("a tensor's shape or stride is not a number");
        }

        return numbers;
    }

    private void PushGlobal(string module, string name) =>
        Push(PickleGlobals.TryGet(module, name, out object? value) ? value : throw Refused(module, name));

    private void PushMemo(long index) =>
        Push(_memo.TryGetValue(index, out object? value) ? value : throw Malformed($"memo {index} was never set"));

    private readonly void Push(object? value) => _stack.Add(value);

    private readonly object? Peek() =>
        _stack.Count > Floor ? _stack[^1] : throw Malformed("the stack is empty");

    private readonly T Peek<T>(string what) => Peek() is T value ? value : throw Malformed($"expected {what} on the stack");

    private readonly T Pop<T>(string what) => Pop() is T value ? value : throw Malformed($"expected {what} on the stack");

    private readonly object? Pop()
    {
        object? value = Peek();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private readonly object?[] PopToMark() =>
        _marks.TryPop(out int mark) ? PopLast(_stack.Count - mark) : throw Malformed("there is no mark on the stack");

    private readonly object?[] PopLast(int count)
    {
        if (_stack.Count - count < Floor)
        {
            throw Malformed("the stack is empty");
        }

        object?[] values = _stack.GetRange(_stack.Count - count, count).ToArray();
        _stack.RemoveRange(_stack.Count - count, count);
        return values;
    }

    /// <summary>Values below the last mark are out of reach, as in Python.</summary>
    private readonly int Floor => _marks.TryPeek(out int mark) ? mark : 0;

    private byte TakeByte() => Take(1)[0];

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _code.Length - _position)
        {
            throw Malformed($"{count} bytes are declared, only {_code.Length - _position} follow");
        }

        ReadOnlySpan<byte> bytes = _code.Slice(_position, count);
        _position += count;
        return bytes;
    }

    private int TakeLength(int size)
    {
        ReadOnlySpan<byte> bytes = Take(size);
        ulong length = 0UL;
        for (int i = size - 1; i >= 0; i--)
        {
            length = (length << 8) | bytes[i];
        }

        return length <= (ulong)(_code.Length - _position)
            ? (int)length
            : throw Malformed($"{length} bytes are declared, only {_code.Length - _position} follow");
    }

    private string TakeLine()
    {
        ReadOnlySpan<byte> rest = _code[_position..];
        int length = rest[..Math.Min(rest.Length, 1024)].IndexOf((byte)'\n');
        if (length < 0)
        {
            throw Malformed("a name does not end");
        }

        _position += length + 1;
        return ParseText(rest[..length]);
    }

    /// <summary>Two's complement, little-endian; torch writes sizes this way when they exceed 31 bits.</summary>
    private readonly long ParseLong(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > sizeof(long))
        {
            throw Malformed($"an integer of {bytes.Length} bytes is larger than any size");
        }

        Span<byte> padded = stackalloc byte[sizeof(long)];
        padded.Fill(bytes is [.., >= 0x80] ? (byte)0xff : (byte)0);
        bytes.CopyTo(padded);
        return BinaryPrimitives.ReadInt64LittleEndian(padded);
    }

    private static string ParseText(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);

    private static string Shorten(string text)
    {
        const int limit = 100;
        return text.Length > limit ? text[..limit] + "…" : text;
    }

    private void Spend(int amount)
    {
        _spent += amount;
        if (_spent > Budget)
        {
            throw Malformed($"it takes more than {Budget} steps, far more than any state_dict");
        }
    }

    private readonly FileFormatException Refused(string module, string name) => new(
        _path,
        $"the pickle asks for '{Shorten(module)}.{Shorten(name)}', which is no part of a state_dict; it was not executed",
        PyTorchArchive.SaveStateDictionary);

    private readonly FileFormatException Malformed(string message) => new(
        _path, $"pickle, byte {_instruction}: {message}", PyTorchArchive.SaveStateDictionary);
}
