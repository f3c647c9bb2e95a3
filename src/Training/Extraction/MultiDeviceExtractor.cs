using System.Runtime.ExceptionServices;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Extraction;

/// <summary>Several extractors, each with a device of its own, on a thread each: every one has an equal share of the clips.</summary>
/// <param name="extractors">One or more.</param>
internal sealed class MultiDeviceExtractor(IReadOnlyList<FeatureExtractor> extractors)
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(200);

    /// <inheritdoc cref="FeatureExtractor.Run"/>
    /// <param name="deliver">Called once per clip, in no particular order, from several threads.</param>
    /// <param name="progress">Called on the caller's thread.</param>
    public void Run(IReadOnlyList<Clip> clips, ClipFeatures deliver, Action<ExtractionProgress> progress, CancellationToken stop)
    {
        if (extractors.Count == 1)
        {
            extractors[0].Run(clips, deliver, progress, stop);
            return;
        }

        using CancellationTokenSource ends = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var states = new ExtractionProgress[extractors.Count];
        Exception? failure = null;
        Thread[] threads = [
            .. extractors.Select((_, index) => new Thread(() => Extract(index)) { IsBackground = true, Name = $"extraction {index}" })];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            while (!thread.Join(ReportInterval))
            {
                Report();
            }
        }

        Report();
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        void Extract(int index)
        {
            try
            {
                // Every n-th clip: long and short ones, which often stand together, mix.
                extractors[index].Run([.. clips.Where((_, i) => i % extractors.Count == index)], deliver, state => Set(index, state),
                    ends.Token);
            }
            catch (Exception exception)
            {
                // The first to fail is the cause; the others are cancelled by it.
                Interlocked.CompareExchange(ref failure, exception, null);
                ends.Cancel();
            }
        }

        void Set(int index, ExtractionProgress state)
        {
            lock (states)
            {
                states[index] = state;
            }
        }

        void Report()
        {
            lock (states)
            {
                progress(new ExtractionProgress(
                    states.Sum(state => state.Videos), clips.Count, states.Sum(state => state.Failures),
                        states.Sum(state => state.FramesPerSecond), states.Max(state => state.Remaining)));
            }
        }
    }
}
