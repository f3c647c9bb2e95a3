using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Copies a matrix transposed, through registers: squares of 16 × 16 where vectors have 512 bits, of 4 × 4 otherwise.</summary>
internal static unsafe class Transposition
{
    private const int KStep = GemmMicroKernel.KStep;

    /// <summary>
    /// Transposes source[j, i] (i &lt; <paramref name="rows"/> contiguous, j &lt; <paramref name="columns"/> at distance ld) to
    /// packed[i·rowStride + j], where every 16 columns a new block of <paramref name="blockStride"/> floats begins, if one is given.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack<TSimd, TVec, T, TSource>(int rows, int columns, T* source, nint ld, float* packed, nint rowStride,
        nint blockStride = KStep, nint partner = 0)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        int column = 0;
        for (; TSimd.Width == 16 && column <= columns - 16; column += 16)
        {
            Pack16<T, TSource>(rows, source + (column * ld), ld, packed + (column / KStep * blockStride), rowStride, partner);
        }

        for (; column <= columns - 4; column += 4)
        {
            T* from = source + (column * ld);
            float* to = packed + (column / KStep * blockStride) + (column % KStep);
            int row = 0;
            for (; row <= rows - 4; row += 4)
            {
                TSimd.Prefetch((float*)(from + (4 * ld) + row));
                TSimd.Prefetch((float*)(from + (5 * ld) + row));
                TSimd.Prefetch((float*)(from + (6 * ld) + row));
                TSimd.Prefetch((float*)(from + (7 * ld) + row));
                Transpose4<T, TSource>(from + row, ld, to + (row * rowStride), rowStride, partner);
            }

            PackRest<T, TSource>(row, rows, 4, from, ld, to, rowStride, partner);
        }

        PackRest<T, TSource>(0, rows, columns - column, source + (column * ld), ld,
            packed + (column / KStep * blockStride) + (column % KStep), rowStride, partner);
    }

    /// <summary>Rows from <paramref name="row"/> on of a few columns, one number after another.</summary>
    private static void PackRest<T, TSource>(int row, int rows, int columns, T* source, nint ld, float* packed, nint rowStride,
        nint partner)
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        for (; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                packed[(row * rowStride) + column] = TSource.Read(source + (column * ld) + row, partner);
            }
        }
    }

    /// <summary>16 columns, one block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pack16<T, TSource>(int rows, T* source, nint ld, float* packed, nint rowStride, nint partner)
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        int row = 0;
        for (; row <= rows - 16; row += 16)
        {
            Transpose16<T, TSource>(source + row, ld, packed + (row * rowStride), rowStride, partner);
        }

        for (; row <= rows - 4; row += 4)
        {
            Transpose4By16<T, TSource>(source + row, ld, packed + (row * rowStride), rowStride, partner);
        }

        PackRest<T, TSource>(row, rows, 16, source, ld, packed, rowStride, partner);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose16<T, TSource>(T* source, nint ld, float* target, nint stride, nint partner)
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        Four a = FourRows<T, TSource>(source, ld, partner), b = FourRows<T, TSource>(source + (4 * ld), ld, partner);
        Four c = FourRows<T, TSource>(source + (8 * ld), ld, partner), d = FourRows<T, TSource>(source + (12 * ld), ld, partner);
        StoreLanes(a.V0, b.V0, c.V0, d.V0, target, stride);
        StoreLanes(a.V1, b.V1, c.V1, d.V1, target + stride, stride);
        StoreLanes(a.V2, b.V2, c.V2, d.V2, target + (2 * stride), stride);
        StoreLanes(a.V3, b.V3, c.V3, d.V3, target + (3 * stride), stride);
    }

    /// <summary>Four vectors of rows of the source, transposed within each 128 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Four FourRows<T, TSource>(T* source, nint ld, nint partner)
        where T : unmanaged
        where TSource : struct, IPackSource<T>
        => TransposeInLanes(
            TSource.Load<Simd512, Vector512<float>>(source, partner),
            TSource.Load<Simd512, Vector512<float>>(source + ld, partner),
            TSource.Load<Simd512, Vector512<float>>(source + (2 * ld), partner),
            TSource.Load<Simd512, Vector512<float>>(source + (3 * ld), partner));

    /// <summary>The transposition of the four 128-bit lanes of four vectors, to every fourth row of the target.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreLanes(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* target,
        nint stride)
    {
        Vector512<float> lowAB = Avx512F.Shuffle4x128(a, b, 0b_01_00_01_00), highAB = Avx512F.Shuffle4x128(a, b, 0b_11_10_11_10);
        Vector512<float> lowCD = Avx512F.Shuffle4x128(c, d, 0b_01_00_01_00), highCD = Avx512F.Shuffle4x128(c, d, 0b_11_10_11_10);
        Avx512F.Shuffle4x128(lowAB, lowCD, 0b_10_00_10_00).Store(target);
        Avx512F.Shuffle4x128(lowAB, lowCD, 0b_11_01_11_01).Store(target + (4 * stride));
        Avx512F.Shuffle4x128(highAB, highCD, 0b_10_00_10_00).Store(target + (8 * stride));
        Avx512F.Shuffle4x128(highAB, highCD, 0b_11_01_11_01).Store(target + (12 * stride));
    }

    /// <summary>Four numbers of each of 16 rows of the source.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose4By16<T, TSource>(T* source, nint ld, float* target, nint stride, nint partner)
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        Four rows = TransposeInLanes(
            EveryFourth<T, TSource>(source, ld, partner), EveryFourth<T, TSource>(source + ld, ld, partner),
            EveryFourth<T, TSource>(source + (2 * ld), ld, partner), EveryFourth<T, TSource>(source + (3 * ld), ld, partner));
        rows.V0.Store(target);
        rows.V1.Store(target + stride);
        rows.V2.Store(target + (2 * stride));
        rows.V3.Store(target + (3 * stride));
    }

    /// <summary>Four numbers of rows 0, 4, 8 and 12.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> EveryFourth<T, TSource>(T* source, nint ld, nint partner)
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        Vector256<float> low = Vector256.Create(TSource.Load4(source, partner), TSource.Load4(source + (4 * ld), partner));
        Vector256<float> high = Vector256.Create(TSource.Load4(source + (8 * ld), partner), TSource.Load4(source + (12 * ld), partner));
        return Vector512.Create(low, high);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Four TransposeInLanes(Vector512<float> r0, Vector512<float> r1, Vector512<float> r2, Vector512<float> r3)
    {
        Vector512<double> low01 = Avx512F.UnpackLow(r0, r1).AsDouble(), low23 = Avx512F.UnpackLow(r2, r3).AsDouble();
        Vector512<double> high01 = Avx512F.UnpackHigh(r0, r1).AsDouble(), high23 = Avx512F.UnpackHigh(r2, r3).AsDouble();
        return new Four(
            Avx512F.UnpackLow(low01, low23).AsSingle(), Avx512F.UnpackHigh(low01, low23).AsSingle(),
            Avx512F.UnpackLow(high01, high23).AsSingle(), Avx512F.UnpackHigh(high01, high23).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose4<T, TSource>(T* source, nint ld, float* target, nint stride, nint partner)
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        Vector128<float> r0 = TSource.Load4(source, partner);
        Vector128<float> r1 = TSource.Load4(source + ld, partner);
        Vector128<float> r2 = TSource.Load4(source + (2 * ld), partner);
        Vector128<float> r3 = TSource.Load4(source + (3 * ld), partner);
        (Vector128<float> even01, Vector128<float> odd01) = Zip(r0, r2);
        (Vector128<float> even23, Vector128<float> odd23) = Zip(r1, r3);
        (Vector128<float> t0, Vector128<float> t1) = Zip(even01, even23);
        (Vector128<float> t2, Vector128<float> t3) = Zip(odd01, odd23);
        t0.Store(target);
        t1.Store(target + stride);
        t2.Store(target + (2 * stride));
        t3.Store(target + (3 * stride));
    }

    /// <summary>(a0 b0 a1 b1, a2 b2 a3 b3).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector128<float> Low, Vector128<float> High) Zip(Vector128<float> a, Vector128<float> b)
    {
        if (Sse.IsSupported)
        {
            return (Sse.UnpackLow(a, b), Sse.UnpackHigh(a, b));
        }

        if (AdvSimd.Arm64.IsSupported)
        {
            return (AdvSimd.Arm64.ZipLow(a, b), AdvSimd.Arm64.ZipHigh(a, b));
        }

        return (Vector128.Create(a[0], b[0], a[1], b[1]), Vector128.Create(a[2], b[2], a[3], b[3]));
    }

    private readonly struct Four(Vector512<float> v0, Vector512<float> v1, Vector512<float> v2, Vector512<float> v3)
    {
        public readonly Vector512<float> V0 = v0, V1 = v1, V2 = v2, V3 = v3;
    }
}
