using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Tests;

/// <summary>What a program with a model of its own uses of the engine: docs/library.md.</summary>
public sealed class OwnModelTests
{
    [Fact]
    public void A_step_begins_with_its_learning_rate_and_without_gradients_and_loss()
    {
        using var device = new CpuDevice(1);
        using var parameters = new ParameterSet(device, new Plain());
        parameters.Initialize(1);
        using var state = new StepStateTensor(device);
        using var adam = new Adam(parameters, state, new AdamOptions());
        using var tape = new Tape(device) { Training = true, State = state.Tensor };
        using Tensor x = Tensor.From(device, [2, 1, 3], [1f, 2, 3, -1, 0, 1]), labels = Tensor.From(device, [2], [0, 1], "labels");
        SoftmaxFocalLossFunction.CrossEntropy(tape, ((Plain)parameters.Module).Forward(tape, x).Logits, labels);
        tape.Backward();
        state.Read().Loss.ShouldBeGreaterThan(0);
        parameters.Gradients.Read<float>().ShouldContain(gradient => gradient != 0);

        adam.BeginStep(0.125);
        StepState begun = state.Read();
        begun.LearningRate.ShouldBe(0.125f);
        begun.Loss.ShouldBe(0);
        parameters.Gradients.Read<float>().ShouldAllBe(gradient => gradient == 0);
    }

    [Fact]
    public void Cross_entropy_is_the_mean_of_minus_log_p()
    {
        using var device = new CpuDevice(1);
        using var state = new StepStateTensor(device);
        using var tape = new Tape(device) { Training = true, State = state.Tensor };
        using Tensor logits = Tensor.From(device, [2, 3], [0.5f, -1, 2, 0, 1, 0]), labels = Tensor.From(device, [2], [2, 0], "labels");
        logits.RequiresGradient = true;

        (_, Tensor p) = SoftmaxFocalLossFunction.CrossEntropy(tape, logits, labels);

        float[] probabilities = p.Read<float>();
        double expected = -(Math.Log(probabilities[2]) + Math.Log(probabilities[3])) / 2;
        ((double)state.Read().Loss).ShouldBe(expected, 1e-6);
        logits.Gradient!.Read<float>()[3].ShouldBe((probabilities[3] - 1) / 2, 1e-6f);
    }

    [Fact]
    public void A_classifier_needs_neither_form_of_other_programs_until_it_is_written_in_it()
    {
        var model = new Plain();
        var graph = new OnnxGraph("plain");
        graph.Input("features", ElementType.F32, "clips", 1, 3);

        Should.Throw<NotSupportedException>(() => model.KerasLayers).Message.ShouldBe(
            "Plain has no layers for Keras's files: override KerasLayers, or keep its weights as safetensors.");
        Should.Throw<NotSupportedException>(() => model.Export(graph, "features", 1, "clips")).Message.ShouldBe(
            "Plain has no form in ONNX: override ExportLayers.");
    }

    private sealed class Plain : Classifier
    {
        private readonly Nn.Linear _output;

        public Plain()
            : base(new ClassifierOptions(3)) => _output = Add(new Nn.Linear("output", 3, Classes));

        public override bool HasAttention => false;

        public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => [(_output.Weight, _output.Bias)];

        public override IReadOnlyList<LayerOutput> Layers(int frames) => [Layer(_output, Classes)];

        public override ClassifierOutput Forward(Tape tape, Tensor features) =>
            new(_output.Forward(tape, LastStepFunction.Apply(tape, features)), null);
    }
}
