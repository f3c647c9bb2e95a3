using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace CudaTrainer.Engine.Tensors;

/// <summary>
/// Lengths of a tensor's dimensions, outermost first; rank 0 (a scalar) to 5. A value type, so that making one allocates nothing.
/// </summary>
[CollectionBuilder(typeof(Shape), nameof(Create))]
public readonly struct Shape : IEquatable<Shape>
{
    public const int MaxRank = 5;

    private readonly Lengths _lengths;

    private Shape(ReadOnlySpan<int> lengths)
    {
        if (lengths.Length > MaxRank)
        {
            throw new ArgumentException($"A shape has at most {MaxRank} dimensions, not {lengths.Length}.", nameof(lengths));
        }

        long count = 1;
        for (int i = 0; i < lengths.Length; i++)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(lengths[i]);
            _lengths[i] = lengths[i];
            count = checked(count * lengths[i]);
        }

        Rank = lengths.Length;
        Count = count;
    }

    public int Rank { get; }

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>Length of dimension <paramref name="index"/>; negative counts from the end.</summary>
    public int this[int index]
    {
        get
        {
            int i = index < 0 ? Rank + index : index;
            return (uint)i < (uint)Rank
                ? _lengths[i]
                : throw new ArgumentOutOfRangeException(nameof(index), $"Shape {this} has no dimension {index}.");
        }
    }

    public static Shape Create(ReadOnlySpan<int> lengths) => new(lengths);

    /// <summary>Product of all dimensions but the last: the rows when the tensor is seen as a matrix.</summary>
    public int Rows => Rank == 0 ? 1 : this[-1] == 0 ? 0 : checked((int)(Count / this[-1]));

    /// <summary>The same shape with dimension <paramref name="index"/> replaced.</summary>
    public Shape With(int index, int length)
    {
        Span<int> lengths = stackalloc int[Rank];
        for (int i = 0; i < Rank; i++)
        {
            lengths[i] = this[i];
        }

        lengths[index < 0 ? Rank + index : index] = length;
        return new Shape(lengths);
    }

    /// <summary>As files keep it.</summary>
    internal long[] ToLengths()
    {
        long[] lengths = new long[Rank];
        for (int i = 0; i < Rank; i++)
        {
            lengths[i] = this[i];
        }

        return lengths;
    }

    // Only for collection expressions, which need an iteration type.
    public IEnumerator<int> GetEnumerator()
    {
        for (int i = 0; i < Rank; i++)
        {
            yield return this[i];
        }
    }

    public bool Equals(Shape other)
    {
        if (Rank != other.Rank)
        {
            return false;
        }

        for (int i = 0; i < Rank; i++)
        {
            if (_lengths[i] != other._lengths[i])
            {
                return false;
            }
        }

        return true;
    }

    public override bool Equals([NotNullWhen(true)] object? obj) => obj is Shape other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(Rank, Count, Rank > 0 ? _lengths[0] : 0);

    /// <summary>For example <c>[64, 20, 4096]</c>.</summary>
    public override string ToString() => $"[{string.Join(", ", (IEnumerable<int>)[.. this])}]";

    public static bool operator ==(Shape left, Shape right) => left.Equals(right);

    public static bool operator !=(Shape left, Shape right) => !left.Equals(right);

    [InlineArray(MaxRank)]
    private struct Lengths
    {
        private int _first;
    }
}
