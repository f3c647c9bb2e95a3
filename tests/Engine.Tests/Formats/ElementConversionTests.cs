using System.Runtime.InteropServices;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

public sealed class ElementConversionTests
{
    // One more than a multiple of every vector width, so that the scalar remainder runs too.
    private const int Patterns = (1 << 16) + 1;

    [Fact]
    public void Every_half_converts_as_the_runtime_converts_it()
    {
        Half[] halves = Enumerable.Range(0, Patterns).Select(i => BitConverter.UInt16BitsToHalf((ushort)i)).ToArray();
        float[] floats = new float[Patterns];

        ElementConversion.ToSingle(ElementType.F16, MemoryMarshal.AsBytes<Half>(halves), floats);

        // Bits, because -0 must stay -0; a NaN may gain its quiet bit.
        floats.Select(Canonical).ShouldBe(halves.Select(half => Canonical((float)half)));

        static uint Canonical(float value) => float.IsNaN(value) ? 0x7fc00000u : BitConverter.SingleToUInt32Bits(value);
    }

    [Fact]
    public void Every_bfloat16_is_the_upper_half_of_its_float()
    {
        ushort[] bits = Enumerable.Range(0, Patterns).Select(i => (ushort)i).ToArray();
        float[] floats = new float[Patterns];

        ElementConversion.ToSingle(ElementType.BF16, MemoryMarshal.AsBytes<ushort>(bits), floats);

        floats.Select(BitConverter.SingleToUInt32Bits).ShouldBe(bits.Select(half => (uint)half << 16));
    }

    [Fact]
    public void Doubles_round_to_nearest_and_overflow_to_infinity()
    {
        double[] doubles = [0.1, -1e300, double.NaN, 16777217];
        float[] floats = new float[4];

        ElementConversion.ToSingle(ElementType.F64, MemoryMarshal.AsBytes<double>(doubles), floats);

        floats.ShouldBe([0.1f, float.NegativeInfinity, float.NaN, 16777216]);
    }

    [Fact]
    public void Lengths_must_agree() =>
        Should.Throw<ArgumentException>(() => ElementConversion.ToSingle(ElementType.F16, new byte[5], new float[2]));
}
