using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Optim;

/// <summary>
/// Adam over a whole <see cref="ParameterSet"/>: unscaling, the finite check, clipping, the update and the loss scale, all decided on the
/// device.
/// </summary>
public sealed class Adam : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly StepStateTensor _state;
    private readonly AdamOptions _options;
    private readonly bool _dynamicLossScale;
    private readonly Tensor _norms;
    private Tensor? _controls;

    /// <param name="parameters">What is trained.</param>
    /// <param name="state">The step state that the loss also uses.</param>
    /// <param name="options">Moments, clipping and weight decay.</param>
    /// <param name="dynamicLossScale">Whether the loss scale grows and shrinks; otherwise it stays as it is.</param>
    public Adam(ParameterSet parameters, StepStateTensor state, AdamOptions options, bool dynamicLossScale = false)
    {
        _parameters = parameters;
        _state = state;
        _options = options;
        _dynamicLossScale = dynamicLossScale;
        FirstMoments = Tensor.Zeros(parameters.Device, parameters.Values.Shape, parameters.Values.DType, "first moments");
        SecondMoments = Tensor.Zeros(parameters.Device, parameters.Values.Shape, parameters.Values.DType, "second moments");
        _norms = Tensor.Zeros(parameters.Device, [parameters.Parameters.Count], parameters.Values.DType, "gradient norms");
    }

    /// <summary>m, laid out as the parameters.</summary>
    public Tensor FirstMoments { get; }

    /// <summary>v, laid out as the parameters.</summary>
    public Tensor SecondMoments { get; }

    /// <summary>Begins a step: sets its learning rate, and gradients and loss to 0 for the forward and backward passes to add to.</summary>
    public void BeginStep(double learningRate)
    {
        _controls ??= Tensor.Allocate(_parameters.Device, [2], name: "controls of a step");
        _controls.Write([(float)learningRate, 0f]);
        _parameters.Device.Ops.BeginStep(_state.Tensor, _controls);
        _parameters.ClearGradients();
    }

    /// <summary>Applies the gradients, or skips the step if one is not finite.</summary>
    public void Step()
    {
        IOps ops = _parameters.Device.Ops;
        ops.UnscaleAndCheckFinite(_parameters.Gradients, _parameters.Segments, _norms, _state.Tensor);
        ops.AdamStep(_parameters.Values, _parameters.Gradients, FirstMoments, SecondMoments, _parameters.Segments, _norms,
            _parameters.Decays, _parameters.Values.HalfCopy, _state.Tensor, _options);
        ops.UpdateLossScale(_state.Tensor, _dynamicLossScale);
    }

    public void Dispose()
    {
        FirstMoments.Dispose();
        SecondMoments.Dispose();
        _norms.Dispose();
        _controls?.Dispose();
    }
}
