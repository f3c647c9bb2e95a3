namespace CudaTrainer.Data.Dataset;

/// <summary>A dataset that cannot be trained on. The message names the folder, what was found and what to do.</summary>
public sealed class DatasetException(string message, Exception? inner = null) : Exception(message, inner);
