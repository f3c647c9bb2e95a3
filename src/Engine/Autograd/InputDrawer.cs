using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Autograd;

/// <summary>Draws inputs that single precision holds exactly, so that all backends see the same numbers.</summary>
internal sealed class InputDrawer(Random random)
{
    public OpInput Normal(string name, Shape shape, double scale = 1, DType? type = null, bool differentiable = true) =>
        new(
            name, shape, Fill(shape, () => type == DType.Float16 ? (double)(Half)(scale * Gauss()) : (float)(scale * Gauss())),
            differentiable, type);

    /// <summary>A parameter (of layers in half precision, a master weight).</summary>
    public OpInput Parameter(string name, Shape shape, double scale = 1, bool differentiable = true) =>
        Normal(name, shape, scale, differentiable: differentiable) with { IsParameter = true };

    /// <summary>Magnitudes of at least 0.1, so that finite differences do not step over the kink of ReLU.</summary>
    public OpInput AwayFromZero(string name, Shape shape) => new(name, shape, Fill(shape, () =>
    {
        double value = Gauss();
        return (float)(value + (0.1 * Math.Sign(value)));
    }));

    public OpInput Between(string name, Shape shape, double least, double most) =>
        new(name, shape, Fill(shape, () => (float)(least + ((most - least) * random.NextDouble()))));

    public OpInput Labels(string name, int batch, int classes) =>
        new(name, [batch], Fill([batch], () => random.Next(classes)), Differentiable: false, DType.Int32);

    private static double[] Fill(Shape shape, Func<double> next)
    {
        double[] values = new double[shape.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = next();
        }

        return values;
    }

    private double Gauss() =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
