using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Backends.Reference;

public sealed partial class ReferenceOps
{
    private const int LossScaleGrowthInterval = 2000;
    private const float MaxLossScale = 1 << 24;

    public void BeginStep(Tensor state, Tensor orders)
    {
        ref StepState s = ref State(state);
        s.LearningRate = (float)Load(orders)[0];
        s.StopRequests = (float)Load(orders)[1];
        s.Loss = 0;
        s.Correct = 0;
    }

    public void WriteShared(Tensor state, Tensor buffers, Tensor shared, float share)
    {
        StepState s = State(state);
        Store(shared, [s.Loss, s.Correct, s.StopRequests, 0, .. Load(buffers).Select(value => share == 0 ? 0 : value * share)]);
    }

    public void ReadShared(Tensor shared, Tensor state, Tensor buffers)
    {
        double[] values = Load(shared);
        ref StepState s = ref State(state);
        s.Loss = (float)values[0];
        s.Correct = (int)values[1];
        s.StopRequests = (float)values[2];
        Store(buffers, values[4..]);
    }

    public void RestoreIfSkipped(Tensor values, Tensor before, Tensor state)
    {
        if (State(state).FoundNonFinite != 0)
        {
            Store(values, Load(before));
        }
    }

    public void UnscaleAndCheckFinite(Tensor gradients, Tensor segments, Tensor norms, Tensor state)
    {
        double[] values = Load(gradients), segmentNorms = new double[norms.Count];
        long[] bounds = segments.Read<long>();
        double total = 0;
        bool finite = true;
        for (int s = 0; s < segmentNorms.Length; s++)
        {
            double squares = 0;
            for (long i = bounds[s]; i < bounds[s + 1]; i++)
            {
                values[i] /= State(state).LossScale;
                finite &= double.IsFinite(values[i]);
                squares += values[i] * values[i];
            }

            segmentNorms[s] = Math.Sqrt(squares);
            total += squares;
        }

        Store(gradients, values);
        Store(norms, segmentNorms);
        State(state).GradientNorm = (float)Math.Sqrt(total);
        State(state).FoundNonFinite = finite ? 0 : 1;
    }

    public void AdamStep(Tensor parameters, Tensor gradients, Tensor firstMoments, Tensor secondMoments, Tensor segments, Tensor norms, Tensor? halfParameters, Tensor state, in AdamOptions options)
    {
        if (State(state).FoundNonFinite != 0)
        {
            return;
        }

        double[] p = Load(parameters), g = Load(gradients), m = Load(firstMoments), v = Load(secondMoments), segmentNorms = Load(norms);
        long[] bounds = segments.Read<long>();
        int t = ++State(state).AdamSteps;
        double rate = State(state).LearningRate * Math.Sqrt(1 - Math.Pow(options.Beta2, t)) / (1 - Math.Pow(options.Beta1, t));
        for (int s = 0; s < segmentNorms.Length; s++)
        {
            double norm = options.ClipMode == ClipMode.Global ? State(state).GradientNorm : segmentNorms[s];
            double factor = options.ClipMode == ClipMode.Off || norm <= options.ClipNorm ? 1 : options.ClipNorm / norm;
            for (long i = bounds[s]; i < bounds[s + 1]; i++)
            {
                double gradient = g[i] * factor;
                m[i] = (options.Beta1 * m[i]) + ((1 - (double)options.Beta1) * gradient);
                v[i] = (options.Beta2 * v[i]) + ((1 - (double)options.Beta2) * gradient * gradient);
                p[i] -= rate * m[i] / (Math.Sqrt(v[i]) + options.Epsilon);
            }
        }

        Store(parameters, p);
        if (halfParameters is not null)
        {
            Store(halfParameters, p);
        }

        Store(firstMoments, m);
        Store(secondMoments, v);
    }

    public void UpdateLossScale(Tensor state, bool enabled)
    {
        ref StepState s = ref State(state);
        s.StepLossScale = s.LossScale;
        if (s.FoundNonFinite != 0)
        {
            s.SkippedSteps++;
            s.ConsecutiveSkips++;
            s.GoodSteps = 0;
            s.LossScale = enabled ? Math.Max(s.LossScale / 2, 1) : s.LossScale;
            return;
        }

        s.ConsecutiveSkips = 0;
        s.GoodSteps++;
        if (enabled && s.GoodSteps >= LossScaleGrowthInterval)
        {
            s.LossScale = Math.Min(s.LossScale * 2, MaxLossScale);
            s.GoodSteps = 0;
        }
    }
}
