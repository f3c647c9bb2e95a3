namespace CudaTrainer.Kernels.Device;

/// <summary>Elements in half precision: stored as such, computed in single precision, rounded once (to nearest even).</summary>
internal readonly unsafe struct Float16 : IElement<Eight>
{
    public static int Bytes => sizeof(ushort);

    public static float Widen(ushort bits) => ILGPU.Interop.IntAsFloat(bits);

    public static ushort Narrow(float value) => ILGPU.Interop.FloatAsInt((ILGPU.Half)value);

    public static float Read(byte* array, long index) => Widen(((ushort*)array)[index]);

    public static void Write(byte* array, long index, float value) => ((ushort*)array)[index] = Narrow(value);

    public static Eight ReadGroup(byte* array, long index, long available, int aligned)
    {
        ushort* from = (ushort*)array + index;
        return aligned != 0 && available >= 8 ? Unpack(*(Words*)from) : ReadEight(from, Four.LanesOf(available, Eight.Lanes));
    }

    public static Four ReadFour(byte* array, long index, long available, int aligned)
    {
        ushort* from = (ushort*)array + index;
        if (aligned == 0 || available < 4)
        {
            return ReadLanes(from, Four.LanesOf(available, Four.Lanes));
        }

        ulong bits = *(ulong*)from;
        uint low = (uint)bits, high = (uint)(bits >> 32);
        return Four.Of(Low(low), High(low), Low(high), High(high));
    }

    public static Four ReadStrided(byte* array, long index, int stride)
    {
        ushort* from = (ushort*)array + index;
        return Four.Of(Widen(from[0]), Widen(from[stride]), Widen(from[2 * stride]), Widen(from[3 * stride]));
    }

    public static void WriteStrided(byte* array, long index, int stride, int count, Four values)
    {
        ushort* to = (ushort*)array + index;
        to[0] = Narrow(values.A);
        to[stride] = Narrow(values.B);
        to[2 * stride] = Narrow(values.C);
        if (count > 3)
        {
            to[3 * stride] = Narrow(values.D);
        }
    }

    public static void WriteGroup(byte* array, long index, long available, int aligned, Eight values)
    {
        ushort* to = (ushort*)array + index;
        if (aligned != 0 && available >= 8)
        {
            *(Words*)to = Pack(values);
        }
        else
        {
            int count = Four.LanesOf(available, Eight.Lanes);
            WriteLanes(to, count, values.Low);
            WriteLanes(to + 4, count - 4, values.High);
        }
    }

    /// <summary>Four neighbours, which lie in one 8-byte word where the array is aligned.</summary>
    public static void WriteFour(ushort* to, long available, int aligned, Four values)
    {
        if (aligned != 0 && available >= 4)
        {
            *(ulong*)to = Pack(values.A, values.B) | ((ulong)Pack(values.C, values.D) << 32);
        }
        else
        {
            WriteLanes(to, Four.LanesOf(available, Four.Lanes), values);
        }
    }

    public static void WriteEight(byte* array, long index, Eight values) => WriteGroup(array, index, Eight.Lanes, aligned: 1, values);

    /// <summary>The lower and the upper half of a 32-bit word.</summary>
    public static float Low(uint word) => Widen((ushort)word);

    /// <inheritdoc cref="Low"/>
    public static float High(uint word) => Widen((ushort)(word >> 16));

    public static uint Pack(float low, float high) => Narrow(low) | ((uint)Narrow(high) << 16);

    private static Eight Unpack(Words words) => Eight.Of(
        Four.Of(Low(words.A), High(words.A), Low(words.B), High(words.B)),
        Four.Of(Low(words.C), High(words.C), Low(words.D), High(words.D)));

    private static Words Pack(Eight values)
    {
        Words words = default;
        words.A = Pack(values.Low.A, values.Low.B);
        words.B = Pack(values.Low.C, values.Low.D);
        words.C = Pack(values.High.A, values.High.B);
        words.D = Pack(values.High.C, values.High.D);
        return words;
    }

    private static Eight ReadEight(ushort* from, int available) => Eight.Of(ReadLanes(from, available), ReadLanes(from + 4, available - 4));

    private static Four ReadLanes(ushort* from, int available) => Four.Of(
        available > 0 ? Widen(from[0]) : 0, available > 1 ? Widen(from[1]) : 0, available > 2 ? Widen(from[2]) : 0,
        available > 3 ? Widen(from[3]) : 0);

    private static void WriteLanes(ushort* to, int available, Four values)
    {
        if (available > 0)
        {
            to[0] = Narrow(values.A);
        }

        if (available > 1)
        {
            to[1] = Narrow(values.B);
        }

        if (available > 2)
        {
            to[2] = Narrow(values.C);
        }

        if (available > 3)
        {
            to[3] = Narrow(values.D);
        }
    }
}

/// <summary>Sixteen bytes as four words: one access where they lie in memory (<see cref="PtxText"/>).</summary>
internal struct Words
{
    public uint A, B, C, D;
}
