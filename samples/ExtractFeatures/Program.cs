using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Options;

// What moves in every clip of a folder, as arrays that NumPy and the sample OwnModel read:
//   dotnet run -- FOLDER OUTPUT
if (args.Length != 2)
{
    Console.Error.WriteLine("usage: ExtractFeatures FOLDER OUTPUT");
    return 2;
}

const int Frames = 20;
try
{
    Clip[] clips = [.. VideoPaths.Find([args[0]], new SilentObserver()).Videos.Select(Clip.Of)];

    // Motion needs no network. With one, new Vgg19(…).Forward is the second argument, and rgb below has its features.
    using var device = new CpuDevice();
    var extractor = new FeatureExtractor(device, backbone: null, new ExtractorOptions(
        Frames, Workers: Environment.ProcessorCount, TimeLimit: TimeSpan.FromMinutes(1), FeatureStream.Motion));

    // Clips come as they are done, broken ones with a fault instead of features.
    SortedDictionary<string, float[]> features = new(StringComparer.Ordinal);
    extractor.Run(clips, (clip, rgb, motion, fault, reason, _) =>
    {
        if (fault == VideoFault.None)
        {
            features.Add(clip.Path, motion.ToArray());
        }
        else
        {
            Console.Error.WriteLine($"{clip.Path} is left out: {reason}");
        }
    });

    // The folder that a clip lies in is its class, as for the command line.
    long[] labels = [.. features.Keys.Select(path => Path.GetFileName(Path.GetDirectoryName(path)) == "violent" ? 1L : 0L)];
    float[] all = [.. features.Values.SelectMany(values => values)];
    Directory.CreateDirectory(args[1]);
    NpyFile.Write<float>(Path.Combine(args[1], "features.npy"), all, labels.Length, Frames, FeatureStream.Motion.Dimension());
    NpyFile.Write<long>(Path.Combine(args[1], "labels.npy"), labels, labels.Length);
    File.WriteAllLines(Path.Combine(args[1], "clips.txt"), features.Keys);
    Console.WriteLine($"features [{labels.Length}, {Frames}, {FeatureStream.Motion.Dimension()}], {labels.Sum()} clips violent");
    return labels.Length > 0 ? 0 : 1;
}
catch (RunException exception)
{
    Console.Error.WriteLine($"{exception.Message} {exception.Hint}");
    return 1;
}
catch (VideoException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}
