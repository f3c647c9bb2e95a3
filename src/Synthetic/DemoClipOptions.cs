namespace CudaTrainer.Synthetic;

/// <summary>What <see cref="DemoClips"/> renders.</summary>
public sealed record DemoClipOptions
{
    /// <summary>Where <c>dataset/</c> and <c>unseen/</c> are created; neither may exist with files in it.</summary>
    public required string Directory { get; init; }

    /// <summary>The same seed gives the same pictures.</summary>
    public int Seed { get; init; } = 42;

    /// <summary>Labelled clips that decode, without the broken files.</summary>
    public int Count { get; init; } = 120;

    /// <summary>Clips for prediction, half of each class, from places of which no labelled clip shows anything.</summary>
    public int UnseenCount { get; init; } = 8;

    /// <summary>Share of the labelled clips that is violent.</summary>
    public double ViolentShare { get; init; } = 0.78;

    /// <summary>A folder for each activity, such as <c>kicking</c> and <c>hug</c>, instead of one for each of the two classes.</summary>
    public bool ByActivity { get; init; }

    /// <summary>Labelled clips from one place.</summary>
    public int ClipsPerSource { get; init; } = 5;

    /// <summary>Also leave files that cannot be read, as every real collection has them.</summary>
    public bool IncludeBroken { get; init; } = true;

    /// <summary>Clips rendered at the same time.</summary>
    public int Workers { get; init; } = Environment.ProcessorCount;
}
