namespace CudaTrainer.Kernels.Cpu;

/// <summary>Writes the numbers of a pair one after the other, each x ≥ 0 as log(1 + 20 x), correlations as they are.</summary>
internal ref struct FeatureWriter(Span<float> features)
{
    private readonly Span<float> _features = features;

    public int Written { get; private set; }

    public void Put(float x) => _features[Written++] = Compress(x);

    public void PutSpread(Spread spread)
    {
        Put(spread.Mean);
        Put(spread.Q50);
        Put(spread.Q75);
        Put(spread.Q90);
        Put(spread.Q97);
        Put(spread.Q995);
    }

    public void PutUpper(Spread spread, float scale = 1)
    {
        Put(spread.Mean * scale);
        Put(spread.Q90 * scale);
        Put(spread.Q97 * scale);
    }

    public void PutZeros(int count)
    {
        _features.Slice(Written, count).Clear();
        Written += count;
    }

    public void PutAsIs(float x) => _features[Written++] = x;

    /// <summary>Numbers that the pair does not have.</summary>
    public void PutUnknown(int count)
    {
        _features.Slice(Written, count).Fill(float.NaN);
        Written += count;
    }

    /// <summary>log(1 + 20 x) for x ≥ 0 in plain arithmetic: the same bits on every machine.</summary>
    internal static float Compress(float x)
    {
        // log m = 2 artanh((m − 1) / (m + 1)) for a fraction m near 1; the series is exact to float there.
        double y = 1.0 + (20.0 * x);
        long bits = BitConverter.DoubleToInt64Bits(y);
        long exponent = (bits >> 52) - 1023;
        double m = BitConverter.Int64BitsToDouble((bits & 0xFFFFFFFFFFFFF) | (1023L << 52));
        if (m > 1.4142135623730951)
        {
            m *= 0.5;
            exponent++;
        }

        double s = (m - 1.0) / (m + 1.0), t = s * s;
        double series = 1.0 + (t * ((1.0 / 3) + (t * ((1.0 / 5) + (t * ((1.0 / 7) + (t * ((1.0 / 9) + (t * (1.0 / 11))))))))));
        return (float)((2.0 * s * series) + (0.6931471805599453 * exponent));
    }
}
