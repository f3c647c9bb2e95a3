using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>From pictures to flow, and from flow to the families of numbers.</summary>
internal sealed unsafe partial class MotionDescriptor<TSimd, TVec> : MotionDescriptor
    where TSimd : struct, ISimd<TVec>
    where TVec : unmanaged
{
    private const int FieldRows = Rows / 2;

    /// <summary>Heights a second, from which a pixel counts as moving.</summary>
    private const float Lively = 0.15f;

    private readonly int _columns;
    private readonly int _count;
    private readonly Flow<TSimd, TVec> _flow;
    private readonly FlowCorrelations _correlations;
    private readonly PlaneSet _fields;
    private readonly PlaneSet _work;
    private Pyramid _from;
    private Pyramid _to;
    private Motion _now;
    private Motion _before;
    private bool _hasBefore;

    public MotionDescriptor(int columns, double aspect)
        : base(columns, aspect)
    {
        _columns = columns / 2;
        _count = _columns * FieldRows;
        _flow = new Flow<TSimd, TVec>(_columns, FieldRows);
        (_from, _to) = (new Pyramid(_columns, FieldRows), new Pyramid(_columns, FieldRows));
        _correlations = new FlowCorrelations(_columns, FieldRows);
        _fields = new PlaneSet(14, _columns, FieldRows);
        _work = new PlaneSet(8, _columns, FieldRows);
        _now = new Motion(_fields[0], _fields[1], _fields[2]);
        _before = new Motion(_fields[3], _fields[4], _fields[5]);
    }

    private static ReadOnlySpan<float> Speeds => [.03f, .06f, .12f, .2f, .3f, .45f, .65f, .95f, 1.4f, 2];

    private static ReadOnlySpan<float> GreyLevels => [1, 2, 3.5f, 6, 10, 17, 28, 48];

    public override void Begin(ReadOnlySpan<byte> picture)
    {
        _to.Fill(picture);
        Forget();
    }

    public override PicturePair Next(ReadOnlySpan<byte> picture, double seconds, Span<float> features)
    {
        (_from, _to) = (_to, _from);
        _to.Fill(picture);
        float* pixelsU = _fields[6], pixelsV = _fields[7], residual = _fields[8], difference = _fields[9], moved = _fields[10],
            freeU = _fields[11], freeV = _fields[12], length = _fields[13];
        _flow.Between(_from, _to, pixelsU, pixelsV);
        Planes<TSimd, TVec>.Warp(_to[0], pixelsU, pixelsV, residual, _columns, FieldRows);
        Planes<TSimd, TVec>.Distances(residual, _from[0], residual, _count);
        Planes<TSimd, TVec>.Distances(_to[0], _from[0], difference, _count);
        if (IsCut(residual))
        {
            Forget();
            return PicturePair.Cut;
        }

        (_now, _before) = (_before, _now);
        float rate = 1.0f / (float)seconds;
        Scale(pixelsU, PixelWidth * rate, _now.U);
        Scale(pixelsV, rate / FieldRows, _now.V);
        float cameraU = Median(_now.U), cameraV = Median(_now.V);
        Shift(_now.U, cameraU, freeU);
        Shift(_now.V, cameraV, freeV);
        Planes<TSimd, TVec>.Lengths(pixelsU, pixelsV, moved, _count);
        Planes<TSimd, TVec>.Lengths(_now.U, _now.V, length, _count);
        Planes<TSimd, TVec>.Lengths(freeU, freeV, _now.Speed, _count);

        FeatureWriter output = new(features);
        output.PutSpread(Spread.Of(length, _count));
        PutHistogram(ref output, length, Speeds);
        output.PutSpread(Spread.Of(_now.Speed, _count));
        PutHistogram(ref output, _now.Speed, Speeds);
        output.Put(MathF.Sqrt((cameraU * cameraU) + (cameraV * cameraV)));
        float* u = _work[0], v = _work[1], scratch = _work[2];
        Planes<TSimd, TVec>.Soften(_now.U, u, scratch, _columns, FieldRows);
        Planes<TSimd, TVec>.Soften(_now.V, v, scratch, _columns, FieldRows);
        PutDerivatives(ref output, u, v);
        Planes<TSimd, TVec>.Blur(_now.U, u, scratch, _columns, FieldRows, 2);
        Planes<TSimd, TVec>.Blur(_now.V, v, scratch, _columns, FieldRows, 2);
        PutDerivatives(ref output, u, v);
        PutCells(ref output, _now.Speed);
        PutCoherence(ref output, freeU, freeV, 2);
        PutCoherence(ref output, freeU, freeV, 5);
        PutMovers(ref output, freeU, freeV);
        PutDifferences(ref output, difference, residual, moved);
        bool isWhole = _hasBefore;
        _hasBefore = true;
        if (!isWhole)
        {
            output.PutUnknown(AccelerationFeatures);
        }
        else
        {
            PutAcceleration(ref output, (float)seconds);
        }

        _correlations.Add(_now.U, _now.V);
        _correlations.Put(ref output);
        return isWhole ? PicturePair.Whole : PicturePair.First;
    }

    private void Forget()
    {
        _hasBefore = false;
        _correlations.Forget();
    }

    /// <summary>Two scenes have nothing in common: the warped picture is as far off as any other would be.</summary>
    private bool IsCut(float* residual)
    {
        float larger = Math.Max(MeanDeviation(_from[0]), MeanDeviation(_to[0]));
        return Mean(residual) > 12.0f + (0.5f * larger);
    }

    private float MeanDeviation(float* picture)
    {
        float* apart = _work[0];
        Shift(picture, Mean(picture), apart);
        float sum = 0;
        for (int i = 0; i < _count; i++)
        {
            sum += MathF.Abs(apart[i]);
        }

        return sum / _count;
    }

    private float Mean(float* field)
    {
        float sum = 0;
        for (int i = 0; i < _count; i++)
        {
            sum += field[i];
        }

        return sum / _count;
    }

    private float MeanProduct(float* left, float* right)
    {
        float sum = 0;
        for (int i = 0; i < _count; i++)
        {
            sum += left[i] * right[i];
        }

        return sum / _count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Scale(float* field, float factor, float* result)
    {
        TVec scale = TSimd.Set(factor);
        for (int i = 0; i < _count; i += TSimd.Width)
        {
            TSimd.Store(result + i, TSimd.Multiply(TSimd.Load(field + i), scale));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Shift(float* field, float less, float* result)
    {
        TVec shift = TSimd.Set(less);
        for (int i = 0; i < _count; i += TSimd.Width)
        {
            TSimd.Store(result + i, TSimd.Subtract(TSimd.Load(field + i), shift));
        }
    }

    /// <summary>The lower median.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float Median(float* field)
    {
        // Hoare's selection; equal numbers on both sides, so that a plane of one value does not take quadratic time.
        float* values = _work[0];
        new ReadOnlySpan<float>(field, _count).CopyTo(new Span<float>(values, _count));
        int wanted = (_count - 1) / 2, left = 0, right = _count - 1;
        while (left < right)
        {
            float pivot = values[left + ((right - left) / 2)];
            int i = left, j = right;
            while (i <= j)
            {
                while (values[i] < pivot)
                {
                    i++;
                }

                while (values[j] > pivot)
                {
                    j--;
                }

                if (i <= j)
                {
                    (values[i], values[j]) = (values[j], values[i]);
                    i++;
                    j--;
                }
            }

            if (wanted <= j)
            {
                right = j;
            }
            else if (wanted >= i)
            {
                left = i;
            }
            else
            {
                break;
            }
        }

        return values[wanted];
    }

    /// <summary>Flow in picture heights a second, and its length without the camera's motion.</summary>
    private readonly struct Motion(float* u, float* v, float* speed)
    {
        public float* U { get; } = u;

        public float* V { get; } = v;

        public float* Speed { get; } = speed;
    }
}
