using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>The hops of a ring with halves on the wire, against plain loops, to the bit.</summary>
[Collection(CudaCollection.Name)]
public sealed class CudaAllReduceTests(CudaFixture fixture)
{
    public static TheoryData<int, bool> Lengths
    {
        get
        {
            var data = new TheoryData<int, bool>();
            foreach (int length in (int[])[0, 1, 7, 8, 9, 1_000, 4_099])
            {
                data.Add(length, false);
                data.Add(length, true);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void Halves_are_added_and_handed_on(int length, bool isLast)
    {
        using var arrays = new DeviceArrays(fixture, CudaType.Float16, misaligned: length == 1_000);
        float[] values = Numbers.Random(length, 1), arriving = DeviceArrays.Rounded(Numbers.Random(length, 2), CudaType.Float16);
        DeviceArray sums = arrays.UpdatedFloats(values), departing = arrays.Output(length);
        var op = new Cuda.AllReduce(fixture.Library);
        op.AddHalf(fixture.Stream, length, arrays.Input(arriving), sums, departing, isLast);
        float[] exact = [.. values.Zip(arriving, (a, b) => a + b)], rounded = DeviceArrays.Rounded(exact, CudaType.Float16);
        departing.Read().ShouldBeTheSameBitsAs(rounded, "departing");
        sums.Read().ShouldBeTheSameBitsAs(isLast ? rounded : exact, "sums");

        DeviceArray taken = arrays.OutputFloats(length), next = arrays.Output(length);
        op.TakeHalf(fixture.Stream, length, departing, taken, next);
        taken.Read().ShouldBeTheSameBitsAs(rounded, "taken");
        next.Read().ShouldBeTheSameBitsAs(rounded, "next");
        arrays.Verify();
    }
}
