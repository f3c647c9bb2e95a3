using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Checks;

/// <summary>An op's output and the gradients of its differentiable inputs, as doubles.</summary>
public sealed record OpResult(double[] Output, IReadOnlyDictionary<string, double[]> Gradients);

/// <param name="Device">Which device, or <c>finite differences</c> for the reference's own gradient.</param>
/// <param name="ForwardError">‖a−b‖/‖b‖ against the reference.</param>
/// <param name="GradientError">The largest ‖a−b‖/‖b‖ of any input's gradient.</param>
/// <param name="WorstInput">The input with that error.</param>
/// <param name="Kinks">Elements left out of a comparison with differences, because the slopes to both sides of them differ.</param>
public sealed record GradientCheckRow(
    string Op, string Device, double ForwardError, double GradientError, string WorstInput, bool Passed, int Kinks = 0);

/// <summary>
/// Proves ops right in two steps: the reference's gradient against central finite differences in double precision, then every other device
/// against the reference.
/// </summary>
public static class GradientCheck
{
    public const double FiniteDifferenceTolerance = 1e-6;
    public const double ForwardTolerance = 1e-5;
    public const double BackwardTolerance = 1e-4;
    public const double HalfTolerance = 2e-3;

    /// <summary>Root mean square below which numbers are what rounding left of zero, in differences divided by their step.</summary>
    private const double Nothing = 1e-9;

    /// <summary>Runs an op forward and backward on a device. The output's gradient is a fixed pattern (the op's own for a loss).</summary>
    /// <param name="type">Of everything, or with Float16 of the activations, while parameters are in single precision.</param>
    public static OpResult Run(OpCase op, IDevice device, DType type)
    {
        using var tape = new Tape(device) { Training = true, ActivationType = type == DType.Float16 ? type : null };
        using var state = new StepStateTensor(device);
        tape.State = state.Tensor;
        Tensor[] inputs = [.. op.Inputs.Select(input => Make(device, input, type, input.Values))];
        Tensor output = op.Apply(tape, inputs);
        if (!op.SeedsItself)
        {
            output.Gradient = tape.Allocate(output.Shape, output.DType);
            output.Gradient.Write(Seed(output.Count));
        }

        tape.Backward();
        var result = new OpResult(
            output.ToDoubles(),
            op.Inputs.Index().Where(pair => pair.Item.Differentiable)
                .ToDictionary(pair => pair.Item.Name, pair => inputs[pair.Index].Gradient!.ToDoubles()));
        Release(inputs);
        return result;
    }

    /// <summary>
    /// The reference's gradient of one op against (f(x+h) − f(x−h)) / 2h for every element of every differentiable input.
    /// </summary>
    public static GradientCheckRow AgainstFiniteDifferences(OpCase op)
    {
        using var device = new ReferenceDevice();
        OpResult analytic = Run(op, device, DType.Float64);
        double worst = 0, middle = double.NaN;
        string worstInput = string.Empty;
        int kinks = 0;
        foreach ((int index, OpInput input) in op.Inputs.Index())
        {
            if (!input.Differentiable)
            {
                continue;
            }

            double[] own = [.. analytic.Gradients[input.Name]], numeric = new double[input.Values.Length];
            for (int i = 0; i < numeric.Length; i++)
            {
                double step = 1e-5 * Math.Max(1, Math.Abs(input.Values[i]));
                double above = Objective(op, device, index, i, step), below = Objective(op, device, index, i, -step);
                numeric[i] = (above - below) / (2 * step);
                if (Math.Abs(own[i] - numeric[i]) > 1e-4 * (1 + Math.Abs(numeric[i])))
                {
                    // At a kink any slope between those of its two sides is one.
                    middle = double.IsNaN(middle) ? Objective(op, device, index, i, 0) : middle;
                    double right = (above - middle) / step, left = (middle - below) / step;
                    double least = Math.Min(left, right), most = Math.Max(left, right), margin = 1e-4 * (1 + most - least);
                    bool isKink = most - least > 1e-2 * (1e-2 + Math.Abs(right) + Math.Abs(left));
                    if (isKink && own[i] >= least - margin && own[i] <= most + margin)
                    {
                        kinks++;
                        own[i] = numeric[i];
                    }
                }
            }

            double error = RelativeError(own, numeric);
            if (!(error <= worst))
            {
                (worst, worstInput) = (error, input.Name);
            }
        }

        return new GradientCheckRow(op.Name, "finite differences", 0, worst, worstInput, worst <= FiniteDifferenceTolerance, kinks);
    }

    /// <summary>One op on a device in single precision, or in half with parameters in single, against the reference in double.</summary>
    public static GradientCheckRow AgainstReference(OpCase op, IDevice device, DType type = DType.Float32)
    {
        using var reference = new ReferenceDevice();
        bool half = type == DType.Float16;
        OpCase rounded = half ? op with { Inputs = [.. op.Inputs.Select(InHalf)] } : op;
        OpResult expected = Run(rounded, reference, DType.Float64), actual = Run(rounded, device, type);
        double forward = RelativeError(actual.Output, expected.Output);
        (string worstInput, double backward) = expected.Gradients
            .Select(pair => (pair.Key, Error: RelativeError(actual.Gradients[pair.Key], pair.Value)))
            .MaxBy(pair => double.IsNaN(pair.Error) ? double.PositiveInfinity : pair.Error);
        bool passed = forward <= (half ? HalfTolerance : ForwardTolerance) && backward <= (half ? HalfTolerance : BackwardTolerance);
        return new GradientCheckRow(op.Name, half ? $"{device.Name} fp16" : device.Name, forward, backward, worstInput, passed);
    }

    /// <summary>‖a−b‖ / ‖b‖, or ‖a−b‖ where b is zero but for rounding; NaN if either holds NaN.</summary>
    public static double RelativeError(ReadOnlySpan<double> actual, ReadOnlySpan<double> expected)
    {
        double difference = 0, norm = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
            norm += expected[i] * expected[i];
        }

        return norm <= Nothing * Nothing * expected.Length ? Math.Sqrt(difference) : Math.Sqrt(difference / norm);
    }

    private static double Objective(OpCase op, ReferenceDevice device, int input, int element, double step)
    {
        using var tape = new Tape(device) { Training = true };
        using var state = new StepStateTensor(device);
        tape.State = state.Tensor;
        Tensor[] inputs = [.. op.Inputs.Index().Select(pair =>
        {
            double[] values = pair.Item.Values;
            if (pair.Index == input)
            {
                values = [.. values];
                values[element] += step;
            }

            return Make(device, pair.Item, DType.Float64, values);
        })];
        Tensor output = op.Apply(tape, inputs);
        double[] y = output.ToDoubles(), seed = Seed(y.Length);
        double sum = 0;
        for (int i = 0; i < y.Length; i++)
        {
            sum += y[i] * (op.SeedsItself ? 1.0 / y.Length : seed[i]);
        }

        Release(inputs);
        return sum;
    }

    /// <summary>Activations that half precision holds exactly, so that both sides of the comparison see the same numbers.</summary>
    private static OpInput InHalf(OpInput input) => input.IsParameter || input.Type == DType.Int32
        ? input
        : input with { Values = [.. input.Values.Select(value => (double)(Half)value)] };

    private static Tensor Make(IDevice device, OpInput input, DType type, double[] values)
    {
        if (input.Type == DType.Int32)
        {
            return Tensor.From(device, input.Shape, [.. values.Select(value => (int)value)], input.Name);
        }

        // The reference keeps half-precision arguments in double: their values are exact in both.
        DType own = type == DType.Float64 ? DType.Float64 : input.Type ?? (input.IsParameter ? DType.Float32 : type);
        Tensor tensor = Tensor.From(device, input.Shape, values, own, input.Name);
        tensor.RequiresGradient = input.Differentiable;
        return tensor;
    }

    private static void Release(Tensor[] tensors)
    {
        foreach (Tensor tensor in tensors)
        {
            tensor.Dispose();
        }
    }

    /// <summary>A gradient without symmetry or zeros that half precision holds exactly.</summary>
    private static double[] Seed(long count)
    {
        double[] seed = new double[count];
        for (int i = 0; i < seed.Length; i++)
        {
            seed[i] = (double)(Half)Math.Cos(1 + (0.7 * i));
        }

        return seed;
    }
}
