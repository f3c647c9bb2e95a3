using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Optim;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.RunFiles;

/// <summary>
/// Checkpoints are safetensors files. A model file (<c>best_model.safetensors</c>) holds parameters and buffers under their names; a full
/// checkpoint (<c>.ckpt</c>) also the optimiser's moments and the averages of the weights that the run keeps, flat like these. Beside the
/// former stands <c>best_model.h5</c>, the same for Keras (<see cref="Engine.Nn.Module.KerasLayers"/>), which is read as well. What is
/// not a tensor stands as JSON in the metadata: <c>model</c> (<see cref="ModelInfo"/>) and <c>state</c> (<see cref="TrainingState"/>).
/// </summary>
internal sealed class Checkpoint : IDisposable
{
    private static string KerasHint => $"Give the {SettingName.Of(nameof(TrainingOptions.Model))} that the file was trained as, or " +
        "another file.";
    private const string ModelKey = "model";
    private const string StateKey = "state";
    private const string ClipsKey = "training_clips";
    private const string FirstMoments = "optimizer.first_moments";
    private const string SecondMoments = "optimizer.second_moments";
    private const string AveragePrefix = "average.";
    private const string InputMean = "input.mean";
    private const string InputScale = "input.scale";
    private const string InputMotionWhitening = "input.whitening";
    private const string InputWhitening = "input.whitening_features";
    private const string FamiliarityPrefix = "familiarity.";
    private const string FamiliarityComponents = FamiliarityPrefix + "components";
    private const string FamiliarityOffsets = FamiliarityPrefix + "offsets";
    private const string FamiliarityLimit = FamiliarityPrefix + "limit";

    private readonly ITensorArchive _archive;

    private Checkpoint(ITensorArchive archive, ModelInfo? info, TrainingState? state)
    {
        _archive = archive;
        Info = info;
        State = state;
    }

    public string Path => _archive.Path;

    /// <summary>Null for a weight file that another program wrote.</summary>
    public ModelInfo? Info { get; }

    /// <summary>Null for a model file.</summary>
    public TrainingState? State { get; }

    /// <summary>Opens a checkpoint or model file; its header is checked, its tensors are not read yet.</summary>
    public static Checkpoint Open(string path)
    {
        ITensorArchive archive = TensorArchive.Open(path);
        try
        {
            ModelInfo? info = Parse(archive, ModelKey, RunJson.Default.ModelInfo);
            return info?.Problem is { } problem
                ? throw Unreadable(archive, ModelKey, problem)
                : new Checkpoint(archive, info, Parse(archive, StateKey, RunJson.Default.TrainingState));
        }
        catch
        {
            archive.Dispose();
            throw;
        }
    }

    /// <summary>Writes parameters and buffers, as they are for raw features: a scaler is folded into the first layer.</summary>
    /// <param name="path">The destination.</param>
    /// <param name="learner">Holds the model.</param>
    /// <param name="info">What the model is.</param>
    /// <param name="scaler">The standardisation that it was trained with; null if none.</param>
    /// <param name="kerasPath">Where to write the same weights for Keras; null for nowhere.</param>
    /// <param name="familiarity">What tells clips that are unlike those it learned from; null if unknown.</param>
    /// <param name="clips">What it learned from; null if unknown.</param>
    public static void SaveModel(string path, Learner learner, ModelInfo info, FeatureScaler? scaler, string? kerasPath = null,
        Familiarity? familiarity = null, ClipContents? clips = null)
    {
        using var writes = new BackgroundWrites();
        PrepareModel(writes, path, learner, info, scaler, kerasPath, familiarity, clips)();
    }

    /// <summary>Copies what <see cref="SaveModel"/> writes.</summary>
    /// <param name="writes">Holds the copies.</param>
    /// <returns>Writes the files, on any thread.</returns>
    internal static Action PrepareModel(BackgroundWrites writes, string path, Learner learner, ModelInfo info, FeatureScaler? scaler,
        string? kerasPath, Familiarity? familiarity, ClipContents? clips)
    {
        Dictionary<string, string> metadata = new() { [ModelKey] = JsonSerializer.Serialize(info, RunJson.Default.ModelInfo) };
        Tensor values = learner.Parameters.Values;
        float[] trained = scaler is null ? [] : writes.Copy("trained", values);
        scaler?.FoldInto(learner.Model);
        NamedTensor[] tensors = [.. ModelTensors(writes, scaler is null ? "" : "folded/", learner.Parameters)];
        if (scaler is not null)
        {
            values.Write((ReadOnlySpan<float>)trained);
        }

        return () =>
        {
            SafetensorsWriter.Write(path, [.. tensors, .. FamiliarityTensors(familiarity)],
                new Dictionary<string, string>(metadata.Concat(OfClips(clips))));
            if (kerasPath is not null)
            {
                Dictionary<string, NamedTensor> byName = tensors.ToDictionary(tensor => tensor.Name);
                KerasWriter.Write(kerasPath, learner.Model.KerasLayers,
                    tensor => MemoryMarshal.Cast<byte, float>(byName[tensor].Data()), metadata);
            }
        };
    }

    /// <summary>Writes everything that training needs to go on.</summary>
    internal static void SaveFull(string path, Learner learner, ModelInfo info, TrainingState state, FeatureScaler? scaler = null,
        WeightAverages? averages = null, ClipContents? clips = null)
    {
        using var writes = new BackgroundWrites();
        PrepareFull(writes, learner, info, state, scaler, averages, clips)(path);
    }

    /// <summary>Copies what <see cref="SaveFull"/> writes.</summary>
    /// <param name="writes">Holds the copies.</param>
    /// <returns>Writes the file of that path, on any thread.</returns>
    internal static Action<string> PrepareFull(BackgroundWrites writes, Learner learner, ModelInfo info, TrainingState state,
        FeatureScaler? scaler, WeightAverages? averages, ClipContents? clips)
    {
        IEnumerable<NamedTensor> input = scaler is null
            ? []
            : [NamedTensor.Of<float>(InputMean, scaler.Mean, scaler.Mean.Length),
                NamedTensor.Of<float>(InputScale, scaler.Scale, scaler.Scale.Length)];
        foreach ((string name, Whitening? whitening)
            in new[] { (InputWhitening, scaler?.Whitening), (InputMotionWhitening, scaler?.MotionWhitening) })
        {
            if (whitening is not null)
            {
                input = input.Append(NamedTensor.Of<float>(name, whitening.Matrix, whitening.Width, whitening.Components));
            }
        }

        IEnumerable<NamedTensor> averaged = averages is null
            ? []
            : averages.All.Where(average => average.Updates > 0)
                .Select(average => NamedTensor.Of<float>(AveragePrefix + average.Name,
                    writes.Copy(AveragePrefix + average.Name, average.Values), average.Values.Length));
        Adam optimizer = learner.Optimizer;
        NamedTensor[] tensors =
        [
            .. ModelTensors(writes, "", learner.Parameters), Named(writes, "", FirstMoments, optimizer.FirstMoments),
            Named(writes, "", SecondMoments, optimizer.SecondMoments), .. input, .. averaged,
        ];
        var metadata = new Dictionary<string, string>(OfClips(clips))
        {
            [ModelKey] = JsonSerializer.Serialize(info, RunJson.Default.ModelInfo),
            [StateKey] = JsonSerializer.Serialize(state, RunJson.Default.TrainingState),
        };
        return path => SafetensorsWriter.Write(path, tensors, metadata);
    }

    private static Dictionary<string, string> OfClips(ClipContents? clips) => clips is null ? [] : new() { [ClipsKey] = clips.ToText() };

    /// <summary>Gives every replica the model: <see cref="LoadModel(ParameterSet)"/>.</summary>
    internal void LoadModel(ReplicaGroup replicas)
    {
        foreach (Learner learner in replicas.Replicas)
        {
            LoadModel(learner.Parameters);
        }
    }

    /// <summary>Reads parameters and buffers. Strict: every tensor must be there with its shape and finite, and no other one.</summary>
    /// <exception cref="RunException">Names every missing, unexpected or mis-shaped tensor.</exception>
    /// <exception cref="FileFormatException">The same for a Keras file.</exception>
    public void LoadModel(ParameterSet parameters)
    {
        ITensorArchive tensors = RequireFit(parameters.Module);
        foreach (Parameter parameter in parameters.State)
        {
            parameter.Value.Write((ReadOnlySpan<float>)ReadFinite(tensors, parameter.Name, parameter.Shape.Count));
        }
    }

    /// <summary>
    /// Compares names and shapes with a model that has no memory yet: a damaged or hostile file may name one that is larger than memory.
    /// </summary>
    /// <returns>The tensors under the model's names.</returns>
    /// <inheritdoc cref="LoadModel(ParameterSet)"/>
    internal ITensorArchive RequireFit(Module module)
    {
        ITensorArchive tensors = _archive is H5Archive keras
            ? KerasNames.Of(keras, module.KerasLayers, ignoreRest: false, KerasHint)
            : WrappedModel.Unwrap(_archive,
                module.Parameters.Concat(module.Buffers).Select(parameter => parameter.Name).ToHashSet(StringComparer.Ordinal));
        List<string> faults = [];
        Parameter[] parameters = [.. module.Parameters, .. module.Buffers];
        foreach (Parameter parameter in parameters)
        {
            if (!tensors.Entries.TryGetValue(parameter.Name, out TensorEntry? entry))
            {
                faults.Add($"{parameter.Name} {parameter.Shape} is missing");
            }
            else if (!entry.Shape.AsSpan().SequenceEqual(parameter.Shape.ToLengths()))
            {
                faults.Add($"{parameter.Name} is {entry}, expected {parameter.Shape}");
            }
        }

        var known = parameters.Select(parameter => parameter.Name)
            .Concat([FirstMoments, SecondMoments, InputMean, InputScale, InputMotionWhitening, InputWhitening]).ToHashSet();
        faults.AddRange(tensors.Entries.Keys.Where(
            name => !known.Contains(name) && !name.StartsWith(AveragePrefix, StringComparison.Ordinal)
                && !name.StartsWith(FamiliarityPrefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)
            .Select(name => $"{name} is not part of the model"));
        if (faults.Count > 0)
        {
            string model = Info is null ? string.Empty : $" It says it is a '{Info.Model}' with {Info.Inputs} features a frame.";
            throw new RunException(
                $"'{Path}' does not fit the model{WrappedModel.PlaceOf(tensors)}: " +
                    $"{string.Join("; ", faults.Take(12))}{(faults.Count > 12 ? $"; and {faults.Count - 12} more" : string.Empty)}.{model}",
                $"Give the {SettingName.Of(nameof(TrainingOptions.Model))} that the file was trained as, or another file.");
        }

        return tensors;
    }

    /// <summary>What tells clips that are unlike those the model learned from; null if the file does not say.</summary>
    /// <exception cref="RunException">What it says does not fit the model.</exception>
    public Familiarity? ReadFamiliarity()
    {
        if (Info is null || !_archive.Entries.TryGetValue(FamiliarityOffsets, out TensorEntry? offsets))
        {
            return null;
        }

        long count = offsets.ElementCount;
        if (count is 0 or > int.MaxValue || !_archive.Entries.TryGetValue(FamiliarityComponents, out TensorEntry? components)
            || components.ElementCount != count * Info.Inputs
            || _archive.Entries.GetValueOrDefault(FamiliarityLimit)?.ElementCount != 1)
        {
            throw new RunException($"'{Path}': what it says of the clips that it learned from does not fit {Info.Inputs} features a frame.",
                "The file is damaged; use another one.");
        }

        return new Familiarity(ReadFinite(_archive, FamiliarityComponents, count * Info.Inputs),
            ReadFinite(_archive, FamiliarityOffsets, count), ReadFinite(_archive, FamiliarityLimit, 1)[0]);
    }

    /// <summary>What the model learned from; null if the file does not say.</summary>
    public ClipContents? ReadClips() => _archive.Metadata.TryGetValue(ClipsKey, out string? text) ? ClipContents.Parse(text) : null;

    /// <summary>The standardisation that a full checkpoint was trained with; null if none.</summary>
    public FeatureScaler? ReadScaler()
    {
        if (!_archive.Entries.TryGetValue(InputMean, out TensorEntry? entry))
        {
            return null;
        }

        if (Info is null || entry.ElementCount != Info.Inputs)
        {
            throw new RunException($"'{Path}': {InputMean} is {entry}, which does not fit {Info?.Inputs} features a frame.",
                "The file is damaged; use another checkpoint.");
        }

        return FeatureScaler.From(ReadFinite(_archive, InputMean, Info.Inputs), ReadFinite(_archive, InputScale, Info.Inputs),
            ReadWhitening(InputWhitening, Info.Inputs, isLast: false), ReadWhitening(InputMotionWhitening, Info.Inputs, isLast: true));
    }

    /// <param name="dimension">Features of a frame.</param>
    /// <param name="isLast">Whether it is of the last features of a frame; otherwise of the first.</param>
    private Whitening? ReadWhitening(string name, int dimension, bool isLast)
    {
        if (!_archive.Entries.TryGetValue(name, out TensorEntry? entry))
        {
            return null;
        }

        int width = entry.Shape is [> 0 and <= int.MaxValue, >= 0] ? (int)entry.Shape[0] : 0;
        if (width == 0 || width > dimension || entry.Shape[1] > width)
        {
            throw new RunException($"'{Path}': {name} is {entry}, which is no map of {dimension} features a frame.",
                "The file is damaged; use another checkpoint.");
        }

        return Whitening.From(isLast ? dimension - width : 0, ReadFinite(_archive, name, entry.ElementCount), width);
    }

    /// <summary>Where the run stood.</summary>
    /// <exception cref="RunException">The file holds a model only.</exception>
    public TrainingState RequireState() => State ?? throw new RunException(
        $"'{Path}' is a model file without optimiser state; training cannot resume from it.",
            $"Use a .ckpt file, or start a new run with {SettingName.Of(nameof(TrainingOptions.InitialWeights))}.");

    /// <summary>Reads the optimiser's moments and puts the step state back.</summary>
    public void LoadOptimizer(Learner learner)
    {
        TrainingState state = RequireState();
        foreach ((string name, Tensor tensor)
            in new[] { (FirstMoments, learner.Optimizer.FirstMoments), (SecondMoments, learner.Optimizer.SecondMoments) })
        {
            if (!_archive.Entries.TryGetValue(name, out TensorEntry? entry) || entry.ElementCount != tensor.Count)
            {
                throw new RunException($"'{Path}' has no {name} of {tensor.Count} numbers.",
                    "The file is damaged or from another program; use another checkpoint.");
            }

            tensor.Write((ReadOnlySpan<float>)ReadFinite(_archive, name, tensor.Count));
        }

        learner.State.Write(state.ToStepState());
    }

    /// <summary>Reads the averages of the weights as they stood.</summary>
    internal void LoadAverages(WeightAverages averages, ParameterSet parameters)
    {
        TrainingState state = RequireState();
        foreach (WeightAverage average in averages.All)
        {
            int updates = averages.UpdatesBy(average, state);
            if (updates == 0)
            {
                continue;
            }

            string name = AveragePrefix + average.Name;
            if (!_archive.Entries.TryGetValue(name, out TensorEntry? entry) || entry.ElementCount != parameters.Values.Count)
            {
                throw new RunException($"'{Path}' has no {name} of {parameters.Values.Count} numbers.",
                    "The file is damaged or from a run without averages; use another checkpoint.");
            }

            average.Restore(ReadFinite(_archive, name, parameters.Values.Count), updates);
        }
    }

    public void Dispose() => _archive.Dispose();

    private static T? Parse<T>(ITensorArchive archive, string key, JsonTypeInfo<T> type)
        where T : class
    {
        if (!archive.Metadata.TryGetValue(key, out string? json))
        {
            return null;
        }

        try
        {
            return StrictJson.Deserialize(json, type);
        }
        catch (JsonException exception)
        {
            throw Unreadable(archive, key, exception.Message);
        }
    }

    private static RunException Unreadable(ITensorArchive archive, string key, string problem) => new(
        $"'{archive.Path}' has unreadable metadata '{key}': {problem}",
            "The file is damaged or from a newer version; use another checkpoint.");

    private static IEnumerable<NamedTensor> ModelTensors(BackgroundWrites writes, string set, ParameterSet parameters) =>
        parameters.State.Select(parameter => Named(writes, set, parameter.Name, parameter.Value));

    private static NamedTensor[] FamiliarityTensors(Familiarity? familiarity) => familiarity is null
        ? []
        :
        [
            NamedTensor.Of<float>(FamiliarityComponents, familiarity.Components, familiarity.Offsets.Length,
                familiarity.Components.Length / familiarity.Offsets.Length),
            NamedTensor.Of<float>(FamiliarityOffsets, familiarity.Offsets, familiarity.Offsets.Length),
            NamedTensor.Of<float>(FamiliarityLimit, new[] { (float)familiarity.Limit }, 1),
        ];

    private static NamedTensor Named(BackgroundWrites writes, string set, string name, Tensor tensor) =>
        NamedTensor.Of<float>(name, writes.Copy(set + name, tensor), tensor.Shape.ToLengths());

    private static float[] ReadFinite(ITensorArchive archive, string name, long count)
    {
        if (archive.Entries.TryGetValue(name, out TensorEntry? entry) && (entry.ElementCount != count || count > Array.MaxLength))
        {
            throw new RunException($"'{archive.Path}': {name} is {entry}, expected {count} numbers.",
                "The file is damaged; use another one.");
        }

        float[] values = new float[entry is null ? 0 : count];
        archive.Read(name, values);
        int bad = Array.FindIndex(values, value => !float.IsFinite(value));
        return bad < 0
            ? values
            : throw new RunException($"'{archive.Path}': {name} has {values[bad]} at element {bad}.",
                "The weights are broken; use another checkpoint.");
    }
}
