using CudaTrainer.Data.Video;

namespace CudaTrainer.Engine.Tests.Video;

/// <summary>The native resize against OpenCV's fixed-point formula written plainly, and against the real-valued definition.</summary>
public unsafe class ResizeTests
{
    public static TheoryData<int, int, int, int> Sizes => new()
    {
        { 1, 1, 224, 224 },
        { 2, 3, 224, 224 },
        { 3, 224, 224, 224 },
        { 224, 224, 224, 224 },
        { 223, 225, 224, 224 },
        { 161, 121, 224, 224 },
        { 480, 360, 224, 224 },
        { 448, 448, 224, 224 },
        { 640, 352, 224, 224 },
        { 37, 999, 17, 31 },
        { 50, 40, 1, 1 },
        { 8, 8, 300, 5 },
    };

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Equals_the_fixed_point_formula_bit_for_bit(int width, int height, int targetWidth, int targetHeight)
    {
        const int padding = 5;
        int stride = (width * 3) + padding;
        byte[] source = new byte[stride * height];
        new Random(width + height).NextBytes(source);
        Resize(source, width, height, stride, targetWidth, targetHeight)
            .ShouldEqual(FixedPoint(source, width, height, stride, targetWidth, targetHeight));
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Is_within_one_level_of_real_valued_interpolation(int width, int height, int targetWidth, int targetHeight)
    {
        byte[] source = new byte[width * height * 3];
        new Random(width).NextBytes(source);
        byte[] actual = Resize(source, width, height, width * 3, targetWidth, targetHeight);
        for (int y = 0; y < targetHeight; y++)
        {
            for (int x = 0; x < targetWidth; x++)
            {
                (int x0, int x1, double fx) = Clamped(x, width, targetWidth);
                (int y0, int y1, double fy) = Clamped(y, height, targetHeight);
                for (int c = 0; c < 3; c++)
                {
                    double At(int column, int row) => source[(((row * width) + column) * 3) + c];
                    double upper = (At(x0, y0) * (1 - fx)) + (At(x1, y0) * fx);
                    double lower = (At(x0, y1) * (1 - fx)) + (At(x1, y1) * fx);
                    double expected = (upper * (1 - fy)) + (lower * fy);
                    Math.Abs(actual[(((y * targetWidth) + x) * 3) + c] - expected).ShouldBeLessThanOrEqualTo(1.0);
                }
            }
        }
    }

    [Fact]
    public void Refuses_impossible_sizes()
    {
        byte* pixel = stackalloc byte[3];
        VideoLibrary.Native!.Resize(pixel, 0, 1, 3, pixel, 1, 1).ShouldBe((int)VideoFault.InvalidArgument);
        VideoLibrary.Native!.Resize(pixel, 2, 1, 3, pixel, 1, 1).ShouldBe((int)VideoFault.InvalidArgument);
        VideoLibrary.Native!.Resize(pixel, 1, 1, 3, pixel, 1, -1).ShouldBe((int)VideoFault.InvalidArgument);
    }

    private static byte[] Resize(byte[] source, int width, int height, int stride, int targetWidth, int targetHeight)
    {
        const int guard = 64;
        byte[] target = new byte[(targetWidth * targetHeight * 3) + guard];
        target.AsSpan().Fill(0xA5);
        fixed (byte* from = source, to = target)
        {
            VideoLibrary.Native!.Resize(from, width, height, stride, to, targetWidth, targetHeight).ShouldBe(0);
        }

        target.AsSpan(^guard).ContainsAnyExcept((byte)0xA5).ShouldBeFalse("the resize wrote past its target");
        return target[..^guard];
    }

    private static (int First, int Second, double Fraction) Clamped(int target, int sourceSize, int targetSize)
    {
        double centre = Math.Clamp(((target + 0.5) * sourceSize / targetSize) - 0.5, 0, sourceSize - 1);
        int first = (int)centre;
        return (first, Math.Min(first + 1, sourceSize - 1), centre - first);
    }

    private static byte[] FixedPoint(byte[] source, int width, int height, int stride, int targetWidth, int targetHeight)
    {
        byte[] target = new byte[targetWidth * targetHeight * 3];
        for (int y = 0; y < targetHeight; y++)
        {
            (int rowIndex, int rowWeight0, int rowWeight1) = Tap(y, height, targetHeight);
            int row0 = Math.Clamp(rowIndex, 0, height - 1);
            int row1 = Math.Clamp(rowIndex + 1, 0, height - 1);
            for (int x = 0; x < targetWidth; x++)
            {
                (int column, int weight0, int weight1) = Tap(x, width, targetWidth);
                if (column < 0)
                {
                    (column, weight0, weight1) = (0, 2048, 0);
                }
                else if (column >= width - 1)
                {
                    (column, weight0, weight1) = (width - 1, 2048, 0);
                }

                int right = Math.Min(column + 1, width - 1);
                for (int c = 0; c < 3; c++)
                {
                    int Blend(int row) =>
                        (source[(row * stride) + (column * 3) + c] * weight0) + (source[(row * stride) + (right * 3) + c] * weight1);
                    int sum = ((rowWeight0 * (Blend(row0) >> 4)) >> 16) + ((rowWeight1 * (Blend(row1) >> 4)) >> 16);
                    target[(((y * targetWidth) + x) * 3) + c] = (byte)((sum + 2) >> 2);
                }
            }
        }

        return target;
    }

    private static (int Index, int Weight0, int Weight1) Tap(int target, int sourceSize, int targetSize)
    {
        double scale = 1.0 / ((double)targetSize / sourceSize);
        float centre = (float)(((target + 0.5) * scale) - 0.5);
        int index = (int)MathF.Floor(centre);
        float fraction = centre - index;
        return (index, (int)MathF.Round((1 - fraction) * 2048), (int)MathF.Round(fraction * 2048));
    }
}
