using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Training.RunFiles;

/// <summary>
/// Files of a run that are written while it goes on: one set at a time, of copies of the tensors, so that steps may change these meanwhile.
/// </summary>
internal sealed class BackgroundWrites : IDisposable
{
    private readonly Dictionary<string, float[]> _copies = [];
    private Task _running = Task.CompletedTask;

    /// <summary>A copy that stays until the next set; the memory of the set before is used again.</summary>
    /// <param name="key">Tells it from other copies of a set.</param>
    public float[] Copy(string key, Tensor tensor)
    {
        float[] copy = Room(key, tensor.Count);
        tensor.Download<float>(copy);
        return copy;
    }

    /// <inheritdoc cref="Copy(string, Tensor)"/>
    public float[] Copy(string key, ReadOnlySpan<float> values)
    {
        float[] copy = Room(key, values.Length);
        values.CopyTo(copy);
        return copy;
    }

    /// <summary>Begins to write a set. The one before must have been finished, before the first copy for this one was made.</summary>
    public void Start(Action write) => _running = Task.Factory.StartNew(write, default, TaskCreationOptions.LongRunning,
        TaskScheduler.Default);

    /// <summary>Waits for the set that is being written.</summary>
    /// <exception cref="Exception">What has gone wrong with it.</exception>
    public void Finish()
    {
        Task running = _running;
        _running = Task.CompletedTask;
        running.GetAwaiter().GetResult();
    }

    /// <summary>Waits; what goes wrong then no longer matters to anybody.</summary>
    public void Dispose() => Task.WhenAny(_running).Wait();

    private float[] Room(string key, long count)
    {
        if (!_copies.TryGetValue(key, out float[]? copy) || copy.Length != count)
        {
            _copies[key] = copy = new float[count];
        }

        return copy;
    }
}
