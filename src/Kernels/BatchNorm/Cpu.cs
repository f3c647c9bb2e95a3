using CudaTrainer.Kernels.Cpu.Threading;
using Matrix = CudaTrainer.Kernels.Cpu.BatchNormPasses.Matrix;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Batch normalisation of rows × channels over the rows (Ioffe and Szegedy 2015), with a ReLU and a dropout fused behind it, by the
/// formulas of docs/kernels-layers.md. Training is one walk each way, <see cref="ForwardTraining"/> and <see cref="Backward"/>. Where the
/// rows are spread over several replicas, it is cut in two where the replicas exchange their parts: <see cref="Moments"/>, gather,
/// <see cref="Combine"/>, <see cref="Normalize"/>; backward <see cref="GradientSums"/>, gather, <see cref="InputGradient"/>.
/// </summary>
/// <remarks>
/// A member owns whole channels from the first sum to the last store: no barrier, and a channel's result depends neither on the number of
/// threads nor on the other channels. The loops are those of <see cref="BatchNormPasses"/>. Channel c of row r is element r·channels + c of
/// the dropout mask. A part is 2·channels + 1 floats: two numbers of each channel, then how many rows they are of, exact below 2²⁴. Parts
/// are put together in their order and in double precision, hence to the same bits on every replica.
/// </remarks>
internal static unsafe partial class BatchNorm
{
    public const float DefaultMomentum = 0.99f;
    public const float DefaultEpsilon = 1e-3f;

    /// <param name="rows">Samples × time steps, ≥ 1.</param>
    /// <param name="x">Input [rows, channels].</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="runningMean">[channels], updated: momentum·old + (1 − momentum)·mean of the batch.</param>
    /// <param name="runningVariance">[channels], updated likewise.</param>
    /// <param name="y">Output [rows, channels]; must not be <paramref name="x"/>, which backward needs.</param>
    /// <param name="mean">For backward: the batch's mean [channels].</param>
    /// <param name="inverseDeviation">For backward: 1/√(variance + ε) [channels].</param>
    /// <param name="relu">Whether a ReLU follows.</param>
    /// <param name="dropout">The dropout that follows.</param>
    /// <param name="momentum">How much of the running statistics is kept.</param>
    public static void ForwardTraining(
        ThreadTeam team, int rows, int channels, float* x, float* gamma, float* beta, float* runningMean, float* runningVariance, float* y,
        float* mean, float* inverseDeviation, bool relu = false, Dropout dropout = default, float momentum = DefaultMomentum,
        float epsilon = DefaultEpsilon)
    {
        var kernel = new MomentsKernel
        {
            Shape = new Matrix(rows, channels, x),
            Normalization = new Normalization(gamma, beta, mean, inverseDeviation, y, relu, dropout),
            RunningMean = runningMean,
            RunningVariance = runningVariance,
            Momentum = momentum,
            Epsilon = epsilon,
        };
        team.Run(ref kernel);
    }

    /// <summary>Normalises with the running statistics.</summary>
    /// <param name="runningMean">[channels].</param>
    /// <param name="runningVariance">[channels].</param>
    /// <param name="y">Output [rows, channels]; may be <paramref name="x"/>.</param>
    /// <inheritdoc cref="ForwardTraining"/>
    public static void ForwardInference(
        ThreadTeam team, int rows, int channels, float* x, float* gamma, float* beta, float* runningMean, float* runningVariance, float* y,
        bool relu = false, float epsilon = DefaultEpsilon)
    {
        var kernel = new NormalizeKernel
        {
            Shape = new Matrix(rows, channels, x),
            Normalization = new Normalization(gamma, beta, runningMean, inverseDeviation: null, y, relu, default),
            Variance = runningVariance,
            Epsilon = epsilon,
        };
        team.Run(ref kernel);
    }

    /// <param name="mean">As saved by the forward pass [channels].</param>
    /// <param name="inverseDeviation">As saved by the forward pass [channels].</param>
    /// <param name="inputGradient">∂L/∂x [rows, channels], overwritten; may be <paramref name="outputGradient"/>.</param>
    /// <param name="gammaGradient">∂L/∂γ [channels], added to.</param>
    /// <param name="betaGradient">∂L/∂β [channels], added to.</param>
    /// <inheritdoc cref="GradientSums"/>
    public static void Backward(
        ThreadTeam team, int rows, int channels, float* x, float* gamma, float* beta, float* mean, float* inverseDeviation,
        float* outputGradient, float* inputGradient, float* gammaGradient, float* betaGradient, bool relu = false,
        Dropout dropout = default) =>
        Gradient(
            team, new Matrix(rows, channels, x), gamma, beta, mean, inverseDeviation, outputGradient, inputGradient, part: null,
            gammaGradient, betaGradient, relu, dropout);

    /// <summary>Floats of one replica's part.</summary>
    public static int PartLength(int channels) => (2 * channels) + 1;

    /// <summary>This replica's part of the statistics.</summary>
    /// <param name="rows">Samples × time steps, ≥ 1.</param>
    /// <param name="x">Input [rows, channels].</param>
    /// <param name="moments">Output: mean [channels], Σ(x − mean)² [channels], rows.</param>
    public static void Moments(ThreadTeam team, int rows, int channels, float* x, float* moments)
    {
        var kernel = new MomentsKernel { Shape = new Matrix(rows, channels, x), Part = moments };
        team.Run(ref kernel);
        moments[2 * channels] = rows;
    }

    /// <summary>
    /// Mean and deviation over all parts, by the pairwise update of Chan, Golub and LeVeque (1983): for two sets with means a, b, the
    /// squares of the union are theirs plus (b − a)²·n_a·n_b/(n_a + n_b), which cancels nothing.
    /// </summary>
    /// <param name="parts">Parts, ≥ 1.</param>
    /// <param name="gathered">[parts, 2·channels + 1] from <see cref="Moments"/>.</param>
    /// <param name="runningMean">[channels], updated: momentum·old + (1 − momentum)·mean of all rows.</param>
    /// <param name="runningVariance">[channels], updated likewise with the population variance.</param>
    /// <param name="mean">Output [channels].</param>
    /// <param name="inverseDeviation">Output: 1/√(variance + ε) [channels].</param>
    /// <param name="momentum">How much of the running statistics is kept.</param>
    public static void Combine(
        int parts, int channels, float* gathered, float* runningMean, float* runningVariance, float* mean, float* inverseDeviation,
        float momentum = DefaultMomentum, float epsilon = DefaultEpsilon)
    {
        int length = PartLength(channels);
        for (int channel = 0; channel < channels; channel++)
        {
            double rows = gathered[2 * channels];
            double centre = gathered[channel];
            double squares = gathered[channels + channel];
            for (int part = 1; part < parts; part++)
            {
                float* other = gathered + ((long)part * length);
                double more = other[2 * channels];
                double share = more / (rows + more);
                double distance = other[channel] - centre;
                centre += distance * share;
                squares += other[channels + channel] + (distance * distance * rows * share);
                rows += more;
            }

            double variance = squares / rows;
            mean[channel] = (float)centre;
            inverseDeviation[channel] = (float)(1 / Math.Sqrt(variance + epsilon));
            runningMean[channel] = (float)((momentum * (double)runningMean[channel]) + ((1 - (double)momentum) * centre));
            runningVariance[channel] = (float)((momentum * (double)runningVariance[channel]) + ((1 - (double)momentum) * variance));
        }
    }

    /// <summary>y = dropout(relu(γ·(x − mean)·inverseDeviation + β)).</summary>
    /// <param name="mean">From <see cref="Combine"/> [channels].</param>
    /// <param name="inverseDeviation">From <see cref="Combine"/> [channels].</param>
    /// <inheritdoc cref="ForwardTraining"/>
    public static void Normalize(
        ThreadTeam team, int rows, int channels, float* x, float* gamma, float* beta, float* mean, float* inverseDeviation, float* y,
        bool relu = false, Dropout dropout = default)
    {
        var kernel = new NormalizeKernel
        {
            Shape = new Matrix(rows, channels, x),
            Normalization = new Normalization(gamma, beta, mean, inverseDeviation, y, relu, dropout),
        };
        team.Run(ref kernel);
    }

    /// <summary>
    /// This replica's part of the gradient's sums; with g = ∂L/∂y behind mask and ReLU and x̂ = (x − mean)·inverseDeviation.
    /// </summary>
    /// <param name="rows">Samples × time steps, ≥ 1.</param>
    /// <param name="x">Forward input [rows, channels].</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels]; read only with a ReLU.</param>
    /// <param name="mean">From <see cref="Combine"/> [channels].</param>
    /// <param name="inverseDeviation">From <see cref="Combine"/> [channels].</param>
    /// <param name="outputGradient">∂L/∂y [rows, channels].</param>
    /// <param name="inputGradient">
    /// [rows, channels]: with a ReLU or dropout, g, which <see cref="InputGradient"/> takes from here; may be
    /// <paramref name="outputGradient"/>.
    /// </param>
    /// <param name="sums">Output: Σg [channels], Σ g·x̂ [channels], rows.</param>
    /// <param name="gammaGradient">Σ g·x̂ of this replica is added [channels].</param>
    /// <param name="betaGradient">Σg of this replica is added [channels].</param>
    public static void GradientSums(
        ThreadTeam team, int rows, int channels, float* x, float* gamma, float* beta, float* mean, float* inverseDeviation,
        float* outputGradient, float* inputGradient, float* sums, float* gammaGradient, float* betaGradient, bool relu = false,
        Dropout dropout = default)
    {
        Gradient(
            team, new Matrix(rows, channels, x), gamma, beta, mean, inverseDeviation, outputGradient, inputGradient, sums, gammaGradient,
            betaGradient, relu, dropout);
        sums[2 * channels] = rows;
    }

    /// <summary>∂L/∂x = γ·inverseDeviation·(g − Σg/R − x̂·Σ(g·x̂)/R), sums and R over the rows of all parts.</summary>
    /// <param name="parts">Parts, ≥ 1.</param>
    /// <param name="gathered">[parts, 2·channels + 1] from <see cref="GradientSums"/>.</param>
    /// <param name="outputGradient">∂L/∂y [rows, channels], read without ReLU and dropout.</param>
    /// <param name="inputGradient">As <see cref="GradientSums"/> left it; output: ∂L/∂x [rows, channels].</param>
    /// <inheritdoc cref="GradientSums"/>
    public static void InputGradient(
        ThreadTeam team, int parts, int rows, int channels, float* x, float* gamma, float* mean, float* inverseDeviation, float* gathered,
        float* outputGradient, float* inputGradient, bool relu = false, Dropout dropout = default)
    {
        var kernel = new InputGradientKernel
        {
            Shape = new Matrix(rows, channels, x),
            Parts = parts,
            Gamma = gamma,
            Mean = mean,
            InverseDeviation = inverseDeviation,
            Gathered = gathered,
            Gradient = relu || dropout.IsActive ? inputGradient : outputGradient,
            InputGradient = inputGradient,
        };
        team.Run(ref kernel);
    }

    private static void Gradient(
        ThreadTeam team, Matrix x, float* gamma, float* beta, float* mean, float* inverseDeviation, float* outputGradient,
        float* inputGradient, float* part, float* gammaGradient, float* betaGradient, bool relu, Dropout dropout)
    {
        var kernel = new GradientKernel
        {
            Shape = x,
            Gamma = gamma,
            Beta = beta,
            Mean = mean,
            InverseDeviation = inverseDeviation,
            OutputGradient = outputGradient,
            InputGradient = inputGradient,
            Part = part,
            GammaGradient = gammaGradient,
            BetaGradient = betaGradient,
            Relu = relu,
            Dropout = dropout,
        };
        team.Run(ref kernel);
    }
}
