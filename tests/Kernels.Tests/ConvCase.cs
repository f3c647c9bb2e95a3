using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

/// <summary>One random convolution between guard pages, and its plain double-precision result.</summary>
internal sealed unsafe record ConvCase(int Images, int InChannels, int Height, int Width, int OutChannels)
{
    public int Seed { get; init; }

    public Activation Activation { get; init; } = Activation.Relu;

    public bool MaxPool { get; init; }

    public Edge Edge { get; init; }

    /// <summary>The seeded image that is this case's first.</summary>
    public int FirstImage { get; init; }

    /// <summary>Puts a NaN into the first image's middle.</summary>
    public bool Poison { get; init; }

    private int OutHeight => MaxPool ? Height / 2 : Height;

    private int OutWidth => MaxPool ? Width / 2 : Width;

    /// <summary>On every team, each output is within single-precision error of its sum.</summary>
    public void Check(params ThreadTeam[] teams)
    {
        (float[] input, float[] weights, float[] bias) = Values();
        double[] expected = Expected(input, weights, bias);
        double tolerance = 3e-6 * Math.Sqrt(9 * InChannels);
        foreach (ThreadTeam team in teams)
        {
            float[] actual = Run(team);
            for (int i = 0; i < expected.Length; i++)
            {
                if (!(Math.Abs(actual[i] - expected[i]) <= tolerance))
                {
                    Assert.Fail($"{this} on {team.Level} with {team.Size} threads: element {i} is {actual[i]}, expected {expected[i]}");
                }
            }
        }
    }

    /// <summary>‖actual − expected‖ / ‖expected‖.</summary>
    public double RelativeError(ThreadTeam team)
    {
        (float[] input, float[] weights, float[] bias) = Values();
        double[] expected = Expected(input, weights, bias);
        double difference = Run(team).Zip(expected, (x, y) => (x - y) * (x - y)).Sum();
        return Math.Sqrt(difference / expected.Sum(x => x * x));
    }

    /// <summary>The result as [n, c, h, w]; fails if padding channels are not 0.</summary>
    public float[] Run(ThreadTeam team)
    {
        (float[] values, float[] weightValues, float[] biasValues) = Values();
        using var input = new GuardedBuffer<float>(ConvReference.ToLayout(Images, InChannels, Height, Width, values), Edge);
        using var weights = new GuardedBuffer<float>(weightValues, Edge);
        using var bias = new GuardedBuffer<float>(biasValues, Edge);
        using var prepared = new GuardedBuffer<float>((int)Conv3x3.WeightElementCount(team.Level, OutChannels, InChannels), Edge);
        using var output = new GuardedBuffer<float>((int)ConvLayout.ElementCount(Images, OutChannels, OutHeight, OutWidth), Edge);
        output.Span.Fill(float.NaN);
        Conv3x3.Prepare(team, OutChannels, InChannels, weights, prepared);
        Conv3x3.Run(team, Images, InChannels, Height, Width, OutChannels, input, prepared, bias, output, Activation, MaxPool);
        if (!Poison)
        {
            output.Span.ToArray().ShouldNotContain(x => float.IsNaN(x), $"{this} left elements unwritten");
        }

        return ConvReference.FromLayout(Images, OutChannels, OutHeight, OutWidth, output.Span);
    }

    private double[] Expected(float[] input, float[] weights, float[] bias) => ConvReference.Conv3x3(
        Images, InChannels, Height, Width, OutChannels, input, weights, bias, Activation == Activation.Relu, MaxPool);

    private (float[] Input, float[] Weights, float[] Bias) Values()
    {
        float[] Draw(int count, int seed)
        {
            var random = new Random(seed);
            return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];
        }

        float[] input = [.. Enumerable.Range(FirstImage, Images)
            .SelectMany(image => Draw(InChannels * Height * Width, (Seed * 1000) + image))];
        if (Poison)
        {
            input[((Height / 2) * Width) + (Width / 2)] = float.NaN;
        }

        return (input, Draw(OutChannels * InChannels * 9, Seed + 1), Draw(OutChannels, Seed + 2));
    }
}
