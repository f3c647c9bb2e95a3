using System.Numerics;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.RunFiles;

/// <summary>
/// A running average of a model's parameters in host memory, in single precision, of the master weights: a ← a + r_n·(w − a), r_1 = 1. Each
/// number by itself, in one order of operations, so that the bits depend on nothing but the weights.
/// </summary>
internal sealed class WeightAverage
{
    private readonly Func<int, double> _rate;

    /// <param name="name">As in the names of files and tensors.</param>
    /// <param name="text">What is averaged, for a person.</param>
    /// <param name="rate">r_n of the n-th update, from 1; r_1 is 1.</param>
    private WeightAverage(string name, string text, Func<int, double> rate)
    {
        Name = name;
        Text = text;
        _rate = rate;
    }

    public string Name { get; }

    public string Text { get; }

    /// <summary>Updates so far.</summary>
    public int Updates { get; private set; }

    /// <summary>[parameters]; empty before the first update.</summary>
    public float[] Values { get; private set; } = [];

    /// <summary>
    /// Exponential moving average without a bias towards the beginning: a_n = (1−d)/(1−dⁿ)·Σ d^(n−i)·w_i, hence r_n = (1−d)/(1−dⁿ) (the
    /// correction of Kingma and Ba 2015, arXiv:1412.6980).
    /// </summary>
    public static WeightAverage Exponential(double decay) =>
        new("ema", FormattableString.Invariant($"exponential moving average over steps, decay {decay}"),
            n => (1 - decay) / (1 - Math.Pow(decay, n)));

    /// <summary>The plain mean of the weights behind epochs (SWA: Izmailov et al. 2018, arXiv:1803.05407): r_n = 1/n.</summary>
    public static WeightAverage Plain(int start) =>
        new("swa", FormattableString.Invariant($"mean over the ends of epochs from {start} on"), n => 1.0 / n);

    /// <summary>Takes the weights of now in.</summary>
    public void Add(ReadOnlySpan<float> weights)
    {
        Updates++;
        if (Updates == 1)
        {
            Values = weights.ToArray();
            return;
        }

        float rate = (float)_rate(Updates);
        Span<float> values = Values;
        int i = 0;
        for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> value = new(values[i..]);
            (value + (rate * (new Vector<float>(weights[i..]) - value))).CopyTo(values[i..]);
        }

        for (; i < values.Length; i++)
        {
            values[i] += rate * (weights[i] - values[i]);
        }
    }

    /// <summary>Goes on from where a checkpoint was.</summary>
    public void Restore(float[] values, int updates) => (Values, Updates) = (values, updates);
}

/// <summary>The averages that a run keeps beside its weights.</summary>
internal sealed class WeightAverages
{
    private readonly WeightAverage? _exponential;
    private readonly WeightAverage? _plain;
    private readonly int _start;
    private float[] _weights = [];

    public WeightAverages(TrainingOptions options)
    {
        _exponential = options.Ema > 0 ? WeightAverage.Exponential(options.Ema) : null;
        _start = options.SwaStart;
        _plain = _start > 0 ? WeightAverage.Plain(_start) : null;
    }

    /// <summary>Those that were asked for.</summary>
    public IEnumerable<WeightAverage> All => new[] { _exponential, _plain }.OfType<WeightAverage>();

    /// <summary>
    /// Updates of an average by the time that a run stands at <paramref name="state"/>, which every process knows, also those that keep
    /// none.
    /// </summary>
    public int UpdatesBy(WeightAverage average, TrainingState state) => average == _exponential
        ? state.AdamSteps
        : Math.Max(0, state.Epoch - _start + 1);

    /// <summary>A step has changed the weights.</summary>
    public void AfterStep(ParameterSet parameters) => Add(_exponential, parameters);

    /// <summary>An epoch has ended.</summary>
    public void AfterEpoch(ParameterSet parameters, int epoch)
    {
        if (epoch >= _start)
        {
            Add(_plain, parameters);
        }
    }

    private unsafe void Add(WeightAverage? average, ParameterSet parameters)
    {
        if (average is null)
        {
            return;
        }

        Tensor values = parameters.Values;
        if (values.Device.SharesHostMemory)
        {
            values.Device.Synchronize();
            average.Add(new ReadOnlySpan<float>((void*)values.Data, checked((int)values.Count)));
            return;
        }

        if (_weights.Length == 0)
        {
            _weights = new float[values.Count];
        }

        values.Download<float>(_weights);
        average.Add(_weights);
    }
}
