using System.Globalization;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Formulas;

// An op from one formula, checked and trained: which points of the plane lie inside of a ring?
const int Points = 512, Steps = 500;
var random = new Random(1);
using var device = new CpuDevice();

// Against differences in double precision first, then the device against that. One slope for each channel, as the model has it.
var check = new OpCase(
    "Swish",
    [new OpInput("x", [5, 19], Draw(5 * 19)), new OpInput("slope", [19], Draw(19), IsParameter: true)],
    (tape, operands) => Fused.Apply(tape, operands[0], operands[1], new Swish()));
GradientCheckRow[] rows = [.. GradientCheckSuite.Run([check], device)];
foreach (GradientCheckRow row in rows)
{
    Say($"gradients against {row.Device}: relative error {row.GradientError:E1}, {(row.Passed ? "right" : "WRONG")}");
}

// Points, and whether they lie between 0.7 and 1.5 of the middle.
double[] places = Draw(2 * Points);
int[] inside = [.. Enumerable.Range(0, Points).Select(i => double.Hypot(places[2 * i], places[(2 * i) + 1]) is > 0.7 and < 1.5 ? 1 : 0)];
using Tensor points = Tensor.From(device, [Points, 2], places, name: "points");
using Tensor labels = Tensor.From(device, [Points], inside, "labels");

var model = new RingModel();
using var parameters = new ParameterSet(device, model);
parameters.Initialize(seed: 1);
using var state = new StepStateTensor(device);
using var adam = new Adam(parameters, state, new AdamOptions());
using var tape = new Tape(device) { Training = true, State = state.Tensor };

float first = 0, last = 0;
for (int step = 0; step < Steps; step++)
{
    adam.BeginStep(learningRate: 0.05);
    SoftmaxFocalLossFunction.CrossEntropy(tape, model.Forward(tape, points), labels);
    tape.Backward();
    adam.Step();

    // Everything that the tape handed out in this step ends here; points, labels and parameters stay.
    tape.Reset();
    last = state.Read().Loss;
    first = step == 0 ? last : first;
}

Say($"loss {first:F3} before training, {last:F3} after {Steps} steps");
Say($"slopes {string.Join(" ", model.Slope.Value.Read<float>().Select(slope => slope.ToString("F2", CultureInfo.InvariantCulture)))}");
return rows.All(row => row.Passed) && last < first / 2 ? 0 : 1;

double[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => 4 * (random.NextDouble() - 0.5))];

static void Say(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));

/// <summary>
/// x·σ(s·x) (Ramachandran et al. 2017): between a line, s = 0, and ReLU, large s. From this one method the engine makes the kernels for
/// every device and the gradients of x and s.
/// </summary>
internal readonly record struct Swish : IFormula2
{
    public T Forward<T>(T x, T slope)
        where T : unmanaged, IReal<T>
        => x * T.Sigmoid(slope * x);
}

/// <summary>Two dense layers with the op between them; each channel learns its own slope.</summary>
internal sealed class RingModel : Module
{
    private const int Width = 16;

    private readonly Linear _hidden;
    private readonly Linear _output;

    public RingModel()
    {
        _hidden = Add(new Linear("hidden", 2, Width));
        Slope = AddParameter("swish.slope", [Width], Initializers.Ones);
        _output = Add(new Linear("output", Width, 2));
    }

    public Parameter Slope { get; }

    public Tensor Forward(Tape tape, Tensor points) =>
        _output.Forward(tape, Fused.Apply(tape, _hidden.Forward(tape, points), Slope.Value, new Swish()));
}
