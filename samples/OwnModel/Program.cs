using System.Globalization;
using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Kernels;

// A network of one's own on the features that the sample ExtractFeatures wrote:
//   dotnet run -- FOLDER
if (args.Length != 1)
{
    Console.Error.WriteLine("usage: OwnModel FOLDER");
    return 2;
}

const int Epochs = 60;
NpyArray<float> features;
NpyArray<long> labels;
try
{
    features = NpyFile.ReadSingle(Path.Combine(args[0], "features.npy"));
    labels = NpyFile.ReadInt64(Path.Combine(args[0], "labels.npy"));
}
catch (Exception exception) when (exception is FileFormatException or IOException)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}

(int clips, int frames, int inputs) = ((int)features.Shape[0], (int)features.Shape[1], (int)features.Shape[2]);

// Every fourth clip of each class is kept back: what the model says of these counts.
int[] order = [.. Enumerable.Range(0, clips).OrderBy(clip => labels.Data[clip]).ThenBy(clip => clip)];
int[] held = [.. order.Where((_, i) => i % 4 == 3)], learnt = [.. order.Where((_, i) => i % 4 != 3)];
Standardise();

using var device = new CpuDevice();
var model = new GruModel(inputs);
using var parameters = new ParameterSet(device, model);
parameters.Initialize(seed: 1);
using var state = new StepStateTensor(device);
using var adam = new Adam(parameters, state, new AdamOptions { WeightDecay = 0.01 });
using var tape = new Tape(device) { State = state.Tensor, DropoutSeed = 1 };
(Tensor x, Tensor y) = Batch(learnt);
(Tensor heldX, Tensor heldY) = Batch(held);
using (x) using (y) using (heldX) using (heldY)
{
    float first = 0, last = 0;
    var rate = new WarmupCosine(Peak: 0.003, Minimum: 0, WarmupSteps: 5, TotalSteps: Epochs);
    for (int epoch = 0; epoch < Epochs; epoch++)
    {
        // While it trains, the tape remembers what ran and plays it back; dropout is on.
        tape.Training = true;
        adam.BeginStep(rate.At(epoch));
        SoftmaxFocalLossFunction.CrossEntropy(tape, model.Forward(tape, x), y);
        tape.Backward();
        adam.Step();
        tape.Reset();
        last = state.Read().Loss;
        first = epoch == 0 ? last : first;
    }

    tape.Training = false;
    (_, Tensor probabilities) = SoftmaxFocalLossFunction.CrossEntropy(tape, model.Forward(tape, heldX), heldY);
    float[] answers = probabilities.Read<float>();
    int right = held.Index().Count(clip => (answers[(2 * clip.Index) + 1] >= 0.5f ? 1 : 0) == labels.Data[clip.Item]);
    Say($"loss {first:F3} before training, {last:F3} after {Epochs} epochs");
    Say($"{right} of {held.Length} clips that were kept back are called right");
    return last < first / 2 && 2 * right > held.Length ? 0 : 1;
}

(Tensor Features, Tensor Labels) Batch(int[] chosen)
{
    float[] values = [.. chosen.SelectMany(clip => features.Data.AsSpan(clip * frames * inputs, frames * inputs).ToArray())];
    int[] classes = [.. chosen.Select(clip => (int)labels.Data[clip])];
    return (Tensor.From(device, [chosen.Length, frames, inputs], values), Tensor.From(device, [chosen.Length], classes));
}

// Each feature with mean 0 and deviation 1 in the clips that are learnt from; those kept back say nothing about it.
void Standardise()
{
    float[] data = features.Data;
    for (int input = 0; input < inputs; input++)
    {
        double[] seen = [.. learnt.SelectMany(clip => Places(clip, input)).Select(place => (double)data[place])];
        double mean = seen.Average(), deviation = Math.Sqrt(Math.Max(seen.Average(value => value * value) - (mean * mean), 1e-12));
        foreach (int place in Enumerable.Range(0, clips).SelectMany(clip => Places(clip, input)))
        {
            data[place] = (float)((data[place] - mean) / deviation);
        }
    }
}

IEnumerable<int> Places(int clip, int input) => Enumerable.Range(0, frames).Select(frame => (((clip * frames) + frame) * inputs) + input);

static void Say(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));

/// <summary>A GRU over the frames, attention to those that matter, dropout, and two classes.</summary>
internal sealed class GruModel : Module
{
    private const int Width = 32;

    private readonly Gru _gru;
    private readonly AttentionPool _pool;
    private readonly Linear _output;

    public GruModel(int inputs)
    {
        _gru = Add(new Gru("gru", inputs, Width));
        _pool = Add(new AttentionPool("attention", Width));
        _output = Add(new Linear("output", Width, 2));
    }

    /// <param name="tape">The recording.</param>
    /// <param name="features">[clips, frames, inputs].</param>
    /// <returns>Logits [clips, 2].</returns>
    public Tensor Forward(Tape tape, Tensor features)
    {
        (Tensor pooled, _) = _pool.Forward(tape, _gru.Forward(tape, features));
        var dropout = new LayerDropout(0.3f, tape.DropoutSeed, Layer: 0, tape.State);
        return _output.Forward(tape, ActivationDropoutFunction.Apply(tape, pooled, relu: false, dropout));
    }
}
