using CudaTrainer.Fuzzer.Readers;

namespace CudaTrainer.Fuzzer;

/// <summary>Every reader that is hunted in.</summary>
internal static class Targets
{
    private static readonly Dictionary<string, Func<FuzzTarget>> Makers = new()
    {
        ["safetensors"] = () => new SafetensorsTarget(),
        ["npy"] = () => new NpyTarget(),
        ["pickle"] = () => new PickleTarget(),
        ["pytorch"] = () => new PyTorchTarget(),
        ["hdf5"] = () => new Hdf5Target(),
        ["hdf5-index"] = () => new Hdf5IndexTarget(),
        ["inspect"] = () => new InspectTarget(),
        ["checkpoint"] = () => new CheckpointTarget(),
        ["features"] = () => new FeaturesTarget(),
        ["cache"] = () => new CacheTarget(),
        ["hashes"] = () => new HashesTarget(),
        ["pictures"] = () => new PicturesTarget(),
        ["csv"] = () => new CsvTarget(),
        ["sources"] = () => new SourcesTarget(),
        ["run"] = () => new RunTarget(),
        ["report"] = () => new ReportTarget(),
        ["ensemble"] = () => new EnsembleTarget(),
        ["study"] = () => new StudyTarget(),
        ["config"] = () => new ConfigTarget("config", "json"),
        ["config-yaml"] = () => new ConfigTarget("config-yaml", "yaml"),
        ["onnx"] = () => new OnnxTarget(),
        ["upload"] = () => new UploadTarget(),
    };

    public static IReadOnlyCollection<string> Names => Makers.Keys;

    public static FuzzTarget Named(string name) => Makers.TryGetValue(name, out Func<FuzzTarget>? make)
        ? make()
        : throw new ArgumentException($"There is no target '{name}'; the targets are {string.Join(", ", Names)}.", nameof(name));
}
