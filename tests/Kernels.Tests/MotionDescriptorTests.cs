using System.Runtime.InteropServices;
using System.Security.Cryptography;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Tests;

/// <summary>The numbers of pairs of pictures that integers alone make, so that they are the same on every machine.</summary>
public sealed class MotionDescriptorTests
{
    /// <summary>One number of each family of the third pair.</summary>
    private static readonly (int Feature, float Value)[] Known =
    [
        (0, 2.0831363f), (10, 2.8535924f), (16, 1.1757197f), (32, 1.9918797f), (33, 3.1334364f), (47, 5.742469f), (63, 1.5163468f),
        (91, 0.30533063f), (92, 2.9818857f), (96, 2.1461344f), (103, 5.538876f), (120, 3.8971608f), (156, 5.537669f), (157, 3.5232837f),
        (173, 1.954799f),
    ];

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    /// <summary>Other bits are other features than those in caches: then <c>MotionFeatures.Identity</c> changes too.</summary>
    [Theory]
    [MemberData(nameof(Levels))]
    public void Features_have_the_known_bits(SimdLevel level)
    {
        (PicturePair[] kinds, float[][] features) = Measure(640, 360, level);
        kinds.ShouldBe([PicturePair.First, PicturePair.Whole, PicturePair.Whole, PicturePair.Cut, PicturePair.First, PicturePair.Whole]);
        Known.Select(known => (known.Feature, features[2][known.Feature])).ShouldBe(Known);
        DigestOfFlow(features).ShouldBe("DF5C25D251FC6668D6E845666D8BE0481661C592870B864645280593D2180C44");
        DigestOfFlow(Measure(320, 240, level).Features).ShouldBe("AD7DF68944EDBA4EE0ECCB1B47C0EA9D90645B26A30AEECBF2C541FA7D41BE58");
        DigestOfFlow(Measure(100, 1000, level).Features).ShouldBe("C715FD9F1DFCE67479581A19BF35F4DAEF804F7DDC8A73D5DFF42A4D022F661A");
        Digest([.. features.Select(pair => pair[MotionDescriptor.FlowFeatures..])]).ShouldBe(
            "B27E154703F223624899D91CCC74AE3C79FDE664914C2D556BADDE2A3A985476");
        DigestOfFlow(Measure(5000, 100, level).Features).ShouldBe("39D7C13A2FF691EBD9B14E3BB64F5316A66E11F193101391ED12CC8A4E186FB6");
    }

    [Theory]
    [InlineData(640, 360, 200)]
    [InlineData(480, 360, 152)]
    [InlineData(360, 640, 64)]
    [InlineData(1, 1, 112)]
    [InlineData(10, 1000, 32)]
    [InlineData(1000, 10, 448)]
    public void Columns_follow_the_aspect_ratio(int width, int height, int columns) =>
        MotionDescriptor.ColumnsOf(width, height).ShouldBe(columns);

    [Theory]
    [MemberData(nameof(Levels))]
    public void Pictures_of_one_grey_have_no_motion(SimdLevel level)
    {
        MotionDescriptor descriptor = MotionDescriptor.Create(64, 64, level);
        float[] features = new float[MotionDescriptor.Features];
        byte[] picture = new byte[descriptor.Columns * MotionDescriptor.Rows];
        picture.AsSpan().Fill(90);
        descriptor.Begin(picture);
        descriptor.Next(picture, 0.1, features).ShouldBe(PicturePair.First);
        features.ShouldAllBe(x => x == 0 || float.IsNaN(x));
        descriptor.Next(picture, 0.1, features).ShouldBe(PicturePair.Whole);
        features.ShouldAllBe(x => x == 0);
    }

    [Fact]
    public void A_new_sequence_remembers_nothing_and_allocates_nothing()
    {
        MotionDescriptor descriptor = MotionDescriptor.Create(320, 240);
        byte[][] pictures = [.. Enumerable.Range(0, 5).Select(time => Picture(descriptor.Columns, time))];
        float[] once = new float[4 * MotionDescriptor.Features], again = new float[once.Length];
        Walk(once);

        // Now and then the runtime itself allocates, as it replaces code that has become busy.
        long allocated = 1;
        for (int walk = 0; walk < 20 && allocated > 0; walk++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Walk(again);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        allocated.ShouldBe(0);
        again.ShouldBe(once);

        void Walk(float[] features)
        {
            descriptor.Begin(pictures[0]);
            for (int i = 0; i < 4; i++)
            {
                descriptor.Next(pictures[i + 1], 1 / 15.0, features.AsSpan(i * MotionDescriptor.Features, MotionDescriptor.Features));
            }
        }
    }

    /// <summary>Speeds, shares, the camera, cells and movers from the flow of plain loops, in double precision.</summary>
    [Fact]
    public void The_families_of_speed_are_those_of_the_flow()
    {
        MotionDescriptor descriptor = MotionDescriptor.Create(320, 240);
        int columns = descriptor.Columns / 2, rows = MotionDescriptor.Rows / 2;
        byte[] from = Picture(descriptor.Columns, 0), to = Picture(descriptor.Columns, 1);
        float[] features = new float[MotionDescriptor.Features];
        descriptor.Begin(from);
        descriptor.Next(to, 0.1, features);

        (FlowReference u, FlowReference v) = FlowReference.Between(Grey(from).Halve(), Grey(to).Halve());
        double[] across = [.. u.Values.Select(x => x * 10.0 * 4 / 3 / columns)], down = [.. v.Values.Select(x => x * 10.0 / rows)];
        double cameraAcross = across.Order().ElementAt((across.Length - 1) / 2), cameraDown = down.Order().ElementAt((down.Length - 1) / 2);
        double[] speed = [.. across.Zip(down, Length)];
        double[] free = [.. across.Zip(down, (x, y) => Length(x - cameraAcross, y - cameraDown))];
        Found(0).ShouldBe(speed.Average(), 1e-4);
        Found(15).ShouldBe(speed.Count(x => x > 2) / (double)speed.Length, 1e-4);
        Found(16).ShouldBe(free.Average(), 1e-4);
        Found(22).ShouldBe(free.Count(x => x is > 0.03 and <= 0.06) / (double)free.Length, 1e-3);
        Found(32).ShouldBe(Length(cameraAcross, cameraDown), 1e-4);
        double[] quarters = [.. Enumerable.Range(0, 4).Select(cell => free.Where((_, i) => i % columns / (columns / 2) == cell % 2
            && i / columns / (rows / 2) == cell / 2).Average()).OrderDescending()];
        Enumerable.Range(63, 4).Select(Found).Zip(quarters).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) < 1e-4);
        Found(99).ShouldBe(free.Where(x => x > 0.15).Average(), 1e-3);

        double Found(int feature) => (Math.Exp(features[feature]) - 1) / 20;

        FlowReference Grey(byte[] picture) => new(descriptor.Columns, MotionDescriptor.Rows, [.. picture.Select(x => (float)x)]);

        static double Length(double x, double y) => Math.Sqrt((x * x) + (y * y));
    }

    private static (PicturePair[] Kinds, float[][] Features) Measure(int width, int height, SimdLevel level)
    {
        MotionDescriptor descriptor = MotionDescriptor.Create(width, height, level);
        descriptor.Begin(Picture(descriptor.Columns, 0));
        var kinds = new PicturePair[6];
        float[][] features = [.. kinds.Select(_ => new float[MotionDescriptor.Features])];
        for (int i = 0; i < kinds.Length; i++)
        {
            kinds[i] = descriptor.Next(Picture(descriptor.Columns, i + 1), i % 2 == 0 ? 0.0625 : 0.08, features[i]);
        }

        return (kinds, features);
    }

    private static string DigestOfFlow(float[][] features) =>
        Digest([.. features.Select(pair => pair[..MotionDescriptor.FlowFeatures].Select(x => float.IsNaN(x) ? 0 : x).ToArray())]);

    private static string Digest(float[][] features) =>
        Convert.ToHexString(SHA256.HashData([.. features.SelectMany(pair => MemoryMarshal.AsBytes(pair.AsSpan()).ToArray())]));

    /// <summary>A smooth texture that moves, a rougher block that moves the other way, and noise; later another scene.</summary>
    private static byte[] Picture(int columns, int time)
    {
        int scene = time < 4 ? 0 : 1;
        byte[] picture = new byte[columns * MotionDescriptor.Rows];
        for (int i = 0; i < picture.Length; i++)
        {
            int x = i % columns, y = i / columns;
            bool isBlock = Math.Abs(x - (columns / 2) + (5 * time)) < 14 && Math.Abs(y - 60) < 20;
            int grey = isBlock ? Smooth(x + (5 * time), y + time, 4, scene) : Smooth(x - (2 * time), y - time, 16, scene + 7);
            picture[i] = (byte)Math.Clamp((scene == 0 ? grey : 255 - (grey / 2)) + (Hash(x, y, time + 100) % 5), 0, 255);
        }

        return picture;
    }

    /// <summary>Between the hashes of the corners of squares, bilinear.</summary>
    private static int Smooth(int x, int y, int side, int seed)
    {
        (int column, int fx) = Math.DivRem(x + (64 * side), side);
        (int row, int fy) = Math.DivRem(y + (64 * side), side);
        int above = (Hash(column, row, seed) * (side - fx)) + (Hash(column + 1, row, seed) * fx);
        int below = (Hash(column, row + 1, seed) * (side - fx)) + (Hash(column + 1, row + 1, seed) * fx);
        return ((above * (side - fy)) + (below * fy)) / (side * side);
    }

    /// <summary>0 to 255.</summary>
    private static int Hash(int x, int y, int seed)
    {
        uint bits = ((uint)x * 0x9E3779B1) ^ ((uint)y * 0x85EBCA77) ^ ((uint)seed * 0xC2B2AE3D);
        bits = (bits ^ (bits >> 15)) * 0x2C1B3C6D;
        bits = (bits ^ (bits >> 12)) * 0x297A2D39;
        return (int)((bits ^ (bits >> 15)) >> 24);
    }
}
