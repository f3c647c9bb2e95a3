using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Training.Features;

namespace CudaTrainer.Training.Learning;

/// <summary>
/// Gives batch normalisation the statistics that belong to a model's weights: running statistics follow weights of many steps, and an
/// average of weights has never been run.
/// Layer by layer, each layer's mean and variance become exactly those of what it is given at inference, without dropout, over all training
/// clips. One pass for each layer, since what a layer is given depends on the statistics of those before it; therefore nothing depends on
/// the size of batches.
/// </summary>
internal static class BatchNormStatistics
{
    /// <summary>Sets the running mean and (population) variance of every layer, in the order of the layers.</summary>
    /// <param name="learner">Holds the weights; on a device of its own kind the result has the same bits.</param>
    /// <param name="rows">The training clips, as they are.</param>
    /// <param name="scaler">The standardisation that the model is trained with; null if none.</param>
    public static void Estimate(Learner learner, IFeatureRows rows, int batchSize, FeatureScaler? scaler, CancellationToken stop)
    {
        IReadOnlyList<Parameter> buffers = learner.Parameters.Buffers;
        if (buffers.Count == 0)
        {
            return;
        }

        using BatchLoader loader = ReplicaGroup.Of(learner).NewLoader(rows, batchSize, scaler);
        int[] order = EpochOrder.Of(rows.Count, seed: 0, epoch: 0, shuffle: false);
        for (int i = 0; i < buffers.Count; i += 2)
        {
            Parameter mean = buffers[i], variance = buffers[i + 1];
            var moments = new InputMoments(mean.Value);
            loader.Start(order);
            for (int start = 0; start < rows.Count; start += batchSize)
            {
                SplitBatch batch = loader.Next();
                learner.Observe(batch.Parts[0], moments);
                loader.Return(batch);
                stop.ThrowIfCancellationRequested();
            }

            mean.Value.Write(moments.Mean);
            variance.Value.Write(moments.Variance);
        }
    }

    /// <summary>
    /// Mean and variance of one layer's input over several batches, put together by the update of Chan, Golub and LeVeque (1983) in double
    /// precision.
    /// </summary>
    private sealed class InputMoments(Tensor runningMean) : IBatchNormObserver
    {
        private readonly double[] _mean = new double[runningMean.Count];
        private readonly double[] _squares = new double[runningMean.Count];
        private double _rows;

        public ReadOnlySpan<double> Mean => _mean;

        public ReadOnlySpan<double> Variance => Array.ConvertAll(_squares, sum => sum / _rows);

        public void Observe(Tape tape, Tensor x, Tensor layer)
        {
            if (!ReferenceEquals(layer, runningMean))
            {
                return;
            }

            int channels = _mean.Length;
            Tensor moments = tape.Allocate([(2 * channels) + 1], runningMean.DType);
            tape.Ops.BatchNormMoments(x, moments);
            float[] part = moments.Read<float>();
            double rows = part[2 * channels], total = _rows + rows;
            for (int c = 0; c < channels; c++)
            {
                double difference = part[c] - _mean[c];
                _mean[c] += difference * rows / total;
                _squares[c] += part[channels + c] + (difference * difference * _rows * rows / total);
            }

            _rows = total;
        }
    }
}
