using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>The end of a step on the device: unscaling, the finite check and norms, clipping and Adam over all parameters at once.</summary>
public sealed class Gradients(KernelLibrary library)
{
    /// <summary>Gradients that a block of the first pass sums; parts begin anew with each chunk and each parameter.</summary>
    private const int ChunkLength = 2048;

    private const int Threads = 256;
    private const int FinishThreads = 512;

    /// <summary>Elements of a thread of the Adam kernel.</summary>
    private const int ElementsPerThread = 4;

    private readonly SingleKernel _unscale = new(library, "gradients.cu", "unscale_gradients");
    private readonly SingleKernel _finish = new(library, "gradients.cu", "finish_gradient_norms");
    private readonly SingleKernel _prepareAdam = new(library, "adam.cu", "prepare_adam");
    private readonly SingleKernel _adam = new(library, "adam.cu", "adam_step");

    /// <summary>Bytes of the workspace of <see cref="UnscaleAndCheckFinite"/>: one double for each part.</summary>
    /// <param name="parameters">Parameters P.</param>
    /// <param name="count">Elements of all gradients n.</param>
    public static long UnscaleWorkspaceBytes(int parameters, long count) => sizeof(double) * (LaunchSize.DivideUp(count, ChunkLength) + parameters);

    /// <summary>Bytes of the workspace of <see cref="AdamStep"/>: the step size and the clip factor, which one thread works out for all.</summary>
    public static long AdamWorkspaceBytes => 16;

    /// <summary>
    /// Divides the gradients by <see cref="StepState.LossScale"/> in place and looks at them once. Writes the norm of each parameter's gradient, and of all as
    /// <see cref="StepState.GradientNorm"/>; <see cref="StepState.FoundNonFinite"/> becomes 1 when a gradient is infinite or NaN or the norm exceeds the range of float, else 0.
    /// </summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="parameters">Parameters P.</param>
    /// <param name="count">Elements of all gradients n; equals the last of <paramref name="segments"/>.</param>
    /// <param name="gradients">[n], float, updated.</param>
    /// <param name="segments">Where each parameter begins, and n: [P + 1] Int64, not decreasing from 0.</param>
    /// <param name="norms">Output: [P], float.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="workspace"><see cref="UnscaleWorkspaceBytes"/>, aligned to 16 bytes; its content does not matter.</param>
    public void UnscaleAndCheckFinite(CudaStream stream, int parameters, long count, nint gradients, nint segments, nint norms, nint state, nint workspace)
    {
        if (count != 0)
        {
            var arguments = new KernelArguments();
            arguments.Add(count);
            arguments.Add(parameters);
            arguments.Add(gradients);
            arguments.Add(segments);
            arguments.Add(state);
            arguments.Add(workspace);
            arguments.Add(LaunchSize.Aligned(gradients));
            _unscale.Value.Launch(stream, new Grid(checked((int)LaunchSize.DivideUp(count, ChunkLength))), new Grid(Threads), 0, arguments);
        }

        var finish = new KernelArguments();
        finish.Add(parameters);
        finish.Add(segments);
        finish.Add(workspace);
        finish.Add(norms);
        finish.Add(state);
        _finish.Value.Launch(stream, new Grid(1), new Grid(FinishThreads), 0, finish);
    }

    /// <summary>
    /// One Adam step on all parameters in Keras's form, p ← p − lr·√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + ε), after clipping the gradients. <see cref="StepState.AdamSteps"/> grows by one
    /// and is t. Nothing changes when <see cref="StepState.FoundNonFinite"/> is set.
    /// </summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="parameters">Parameters P.</param>
    /// <param name="count">Elements of all parameters n.</param>
    /// <param name="weights">[n], float, updated.</param>
    /// <param name="gradients">[n], float, unscaled, not yet clipped; not changed.</param>
    /// <param name="firstMoments">m [n], float, updated.</param>
    /// <param name="secondMoments">v [n], float, updated.</param>
    /// <param name="segments">As for <see cref="UnscaleAndCheckFinite"/>; read only with <see cref="ClipMode.PerParameter"/>.</param>
    /// <param name="norms">Norm of each parameter's gradient [P]; read only with <see cref="ClipMode.PerParameter"/>.</param>
    /// <param name="halfWeights">Output: the updated parameters in half precision [n]; 0 when there is no such copy.</param>
    /// <param name="state">The <see cref="StepState"/>: learning rate, global norm, finite flag and step count.</param>
    /// <param name="workspace"><see cref="AdamWorkspaceBytes"/>, aligned to 16 bytes; its content does not matter.</param>
    /// <param name="options">Constants and clipping.</param>
    public void AdamStep(
        CudaStream stream, int parameters, long count, nint weights, nint gradients, nint firstMoments, nint secondMoments, nint segments, nint norms, nint halfWeights,
        nint state, nint workspace, in AdamOptions options)
    {
        var prepare = new KernelArguments();
        prepare.Add(state);
        prepare.Add(workspace);
        prepare.Add(options.Beta1);
        prepare.Add(options.Beta2);
        prepare.Add(options.ClipNorm);
        prepare.Add(options.ClipMode == ClipMode.Global ? 1 : 0);
        _prepareAdam.Value.Launch(stream, new Grid(1), new Grid(1), 0, prepare);
        if (count == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(count);
        arguments.Add(options.ClipMode == ClipMode.PerParameter ? parameters : 0);
        arguments.Add(weights);
        arguments.Add(gradients);
        arguments.Add(firstMoments);
        arguments.Add(secondMoments);
        arguments.Add(segments);
        arguments.Add(norms);
        arguments.Add(halfWeights);
        arguments.Add(workspace);
        arguments.Add((float)(1 - options.Beta1));
        arguments.Add((float)(1 - options.Beta2));
        arguments.Add(options.Epsilon);
        arguments.Add(options.ClipNorm);
        arguments.Add(LaunchSize.Aligned(weights, gradients, firstMoments | secondMoments | (halfWeights & 7)));
        _adam.Value.Launch(stream, LaunchSize.Strided(LaunchSize.DivideUp(count, ElementsPerThread)), new Grid(Threads), 0, arguments);
    }
}
