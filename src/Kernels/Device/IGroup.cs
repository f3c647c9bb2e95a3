using CudaTrainer.Kernels.Formulas;
using ILGPU;

namespace CudaTrainer.Kernels.Device;

/// <summary>
/// The elements that a thread handles at a time: what one 16-byte access brings, 4 floats (<see cref="Four"/>) or 8 halves
/// (<see cref="Eight"/>), all arithmetic in single precision. Kernels are written once over groups and compiled for both.
/// </summary>
internal unsafe interface IGroup<TSelf>
    where TSelf : unmanaged, IGroup<TSelf>
{
    static abstract int Lanes { get; }

    static abstract TSelf operator +(TSelf left, TSelf right);

    static abstract TSelf operator -(TSelf left, TSelf right);

    static abstract TSelf operator *(TSelf left, TSelf right);

    static abstract TSelf operator /(TSelf left, TSelf right);

    static abstract TSelf Splat(float value);

    /// <summary>a·b + c, rounded once.</summary>
    static abstract TSelf Fma(TSelf a, TSelf b, TSelf c);

    static abstract TSelf Abs(TSelf x);

    /// <summary>max(x, 0); NaN stays NaN.</summary>
    static abstract TSelf Relu(TSelf x);

    static abstract TSelf Max(TSelf left, TSelf right);

    /// <summary>√x, rounded to nearest.</summary>
    static abstract TSelf Sqrt(TSelf x);

    /// <summary>1/√x, by a square root and a division that round to nearest.</summary>
    static abstract TSelf ReciprocalSqrt(TSelf x);

    /// <summary>Where <paramref name="condition"/> &gt; 0 the value, elsewhere (also for NaN) 0.</summary>
    static abstract TSelf WherePositive(TSelf condition, TSelf value);

    /// <summary>Lane i times <paramref name="scale"/> where bit i is set, elsewhere times 0.</summary>
    static abstract TSelf Keep(TSelf values, uint bits, float scale);

    /// <summary>The values as they are after rounding to half precision.</summary>
    static abstract TSelf RoundToHalf(TSelf values);

    /// <summary>The value of the lane whose number in the warp differs by the bits of <paramref name="mask"/>.</summary>
    static abstract TSelf ShuffleXor(TSelf values, int mask);

    /// <summary>Sum of the lanes in a fixed order.</summary>
    static abstract float Sum(TSelf values);

    /// <summary>The largest lane.</summary>
    static abstract float Largest(TSelf values);

    /// <summary>
    /// Floats that belong to the lanes whatever the type of the elements is, for example a bias: in 16-byte accesses where they are whole
    /// and aligned, with 0 for the lanes from <paramref name="available"/> on.
    /// </summary>
    static abstract TSelf ReadFloats(float* from, long available, int aligned);

    /// <summary>Writes the lanes before <paramref name="available"/> as floats.</summary>
    static abstract void WriteFloats(float* to, long available, int aligned, TSelf values);

    /// <summary>Elements of the other type, halves where a group has floats: as <see cref="IElement{TGroup}.ReadGroup"/>.</summary>
    static abstract TSelf ReadOther(byte* array, long index, long available, int aligned);

    /// <inheritdoc cref="IElement{TGroup}.WriteGroup"/>
    /// <remarks>Elements of the other type.</remarks>
    static abstract void WriteOther(byte* array, long index, long available, int aligned, TSelf values);

    /// <summary>The first lanes, and 0 in the others.</summary>
    static abstract TSelf First(TSelf values, long count);

    /// <summary>What becomes of each lane.</summary>
    static abstract Operands<TSelf> Map<TMap>(TMap map, Operands<TSelf> x, TSelf gradient)
        where TMap : unmanaged, ILaneMap<TMap>;

    /// <summary>Writes all lanes as floats to shared memory.</summary>
    /// <param name="group">Where, counted in groups.</param>
    static abstract void WriteShared(ArrayView<Four> to, int group, TSelf values);
}

/// <summary>Something that is done to each lane of groups.</summary>
/// <typeparam name="TSelf">The structure that implements it.</typeparam>
internal interface ILaneMap<TSelf>
    where TSelf : unmanaged, ILaneMap<TSelf>
{
    static abstract Operands<float> Map(TSelf map, Operands<float> x, float gradient);
}

/// <summary>How elements lie in memory: <see cref="Float32"/> or <see cref="Float16"/>.</summary>
/// <typeparam name="TGroup">The elements of a 16-byte access.</typeparam>
internal unsafe interface IElement<TGroup>
    where TGroup : unmanaged, IGroup<TGroup>
{
    static abstract int Bytes { get; }

    /// <summary>One element.</summary>
    static abstract float Read(byte* array, long index);

    /// <summary>One element, rounded to nearest even; what is too large for half precision becomes infinite.</summary>
    static abstract void Write(byte* array, long index, float value);

    /// <summary>
    /// The group that begins at <paramref name="index"/>: in one access if it is whole and aligned, else element by element, with 0 for
    /// those at <paramref name="available"/> and behind.
    /// </summary>
    static abstract TGroup ReadGroup(byte* array, long index, long available, int aligned);

    /// <summary>
    /// Four neighbours, half a group in half precision, in one access if they are whole and begin on four elements; else as
    /// <see cref="ReadGroup"/>.
    /// </summary>
    static abstract Four ReadFour(byte* array, long index, long available, int aligned);

    /// <summary>Four elements, <paramref name="stride"/> apart.</summary>
    static abstract Four ReadStrided(byte* array, long index, int stride);

    /// <summary>Writes the first <paramref name="count"/> lanes, 3 or 4, as elements that are <paramref name="stride"/> apart.</summary>
    static abstract void WriteStrided(byte* array, long index, int stride, int count, Four values);

    /// <summary>Writes the elements before <paramref name="available"/>, in one access if they are all and aligned.</summary>
    static abstract void WriteGroup(byte* array, long index, long available, int aligned, TGroup values);

    /// <summary>Writes eight elements in 16-byte accesses: one for halves, two for floats.</summary>
    static abstract void WriteEight(byte* array, long index, Eight values);
}
