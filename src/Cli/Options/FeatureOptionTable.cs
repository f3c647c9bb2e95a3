using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Data.Cache;
using CudaTrainer.Training;
using CudaTrainer.Training.Extraction;

namespace CudaTrainer.Cli.Options;

/// <summary>Options of every command that reads videos.</summary>
internal static class FeatureOptionTable
{
    public static OptionTable<FeatureOptions> Create() => new OptionTable<FeatureOptions>(new FeatureOptions())
        .Add(
            "--dataset-path", OptionGroup.Data, ValueTypes.OptionalText("DIR", "folder"),
            o => o.DatasetPath, (o, v) => o with { DatasetPath = v },
            "Folder of videos: train/val/test folders with violent and nonviolent folders inside, or just the two class folders")
        .Add(
            "--split", OptionGroup.Data, ValueTypes.Numbers,
            o => o.Split, (o, v) => o with { Split = v },
            "Shares of train, val and test when the dataset has no split folders; clips of one source stay together",
            range: "three shares that sum to 1")
        .Add(
            "--groups", OptionGroup.Data, ValueTypes.OptionalText("FILE", "CSV file"),
            o => o.Groups, (o, v) => o with { Groups = v },
            "CSV with columns path,class,source that says which clips come from one source; sources.csv in the dataset is found by itself")
        .Add(
            "--frames", OptionGroup.Data, ValueTypes.Integer,
            o => o.Frames, (o, v) => o with { Frames = v },
            "Frames sampled from each clip")
        .Add(
            "--stream", OptionGroup.Data, ValueTypes.Choice<FeatureStream>(),
            o => o.Stream, (o, v) => o with { Stream = v },
            "Features of a clip: its frames by VGG19, its motion (seconds for hundreds of clips, no backbone), or both side by side")
        .Add(
            "--on-corrupt", OptionGroup.Data, ValueTypes.Choice<CorruptPolicy>(),
            o => o.OnCorrupt, (o, v) => o with { OnCorrupt = v },
            "What to do with a clip that cannot be decoded: leave it out, keep it as zeros, or stop")
        .Add(
            "--max-corrupt", OptionGroup.Data, ValueTypes.Number,
            o => o.MaxCorrupt, (o, v) => o with { MaxCorrupt = v },
            "Largest share of clips that may be broken")
        .Add(
            "--decode-timeout", OptionGroup.Data, ValueTypes.Number,
            o => o.DecodeTimeout, (o, v) => o with { DecodeTimeout = v },
            "Seconds after which decoding one file is given up")
        .Add(
            "--views", OptionGroup.Data, ValueTypes.Integer,
            o => o.Views, (o, v) => o with { Views = v },
            "Views of each clip to extract: as it is, mirrored, brighter, darker, ... (docs/averages.md); train shows one of them, " +
                "by chance, each time it shows a clip")
        .Add(
            "--cache-dir", OptionGroup.Data, ValueTypes.Text("DIR", "folder"),
            o => o.CacheDir, (o, v) => o with { CacheDir = v },
            "Feature cache; only clips that are new or changed are extracted again")
        .Add(
            "--weights", OptionGroup.Model, ValueTypes.OptionalText("FILE", ".safetensors, .pth or Keras .h5 file"),
            o => o.Weights, (o, v) => o with { Weights = v },
            "VGG19 weights of the backbone; without them it is random from a fixed seed, and every output says so")
        .Add(
            "--preprocess", OptionGroup.Model, ValueTypes.Choice<PreprocessChoice>(),
            o => o.Preprocess, (o, v) => o with { Preprocess = v },
            "Colour order and normalisation of frames; auto follows the weight file")
        .Add(
            "--device", OptionGroup.Precision, ValueTypes.Text("NAME", "device"),
            o => o.Device, (o, v) => o with { Device = v },
            "Where to compute; a device that is not available is an error, never replaced by another",
            range: OptionValidation.DeviceForms)
        .Add(
            "--distributed", OptionGroup.Precision, ValueTypes.Choice<DistributedMode>(),
            o => o.Distributed, (o, v) => o with { Distributed = v },
            "mpi: this is one of several processes that mpirun started, with one device each, on one machine or many")
        .Add(
            "--threads", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Threads, (o, v) => o with { Threads = v },
            "Compute threads of this process, 0 = one per core (shared with the other processes of the machine); results do not " +
                "depend on it")
        .Add(
            "--workers", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Workers, (o, v) => o with { Workers = v },
            "Threads of this process that decode videos, 0 = one per core (shared with the other processes of the machine)")
        .Add(
            "--feature-dtype", OptionGroup.Precision, ValueTypes.Choice<FeatureType>(),
            o => o.FeatureDtype, (o, v) => o with { FeatureDtype = v },
            "Number format of the features on disk")
        .Add(
            "--seed", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Seed, (o, v) => o with { Seed = v },
            "Seed of everything random: split, initial weights, shuffling, dropout");
}
