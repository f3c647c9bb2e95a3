using CudaTrainer.Data.Cache;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.RunFiles;

/// <summary>A classifier from a file, ready to answer.</summary>
internal sealed class TrainedClassifier : IDisposable
{
    private TrainedClassifier(Learner learner, ModelInfo info)
    {
        Learner = learner;
        Info = info;
    }

    public Learner Learner { get; }

    public ModelInfo Info { get; }

    /// <summary>What tells clips that are unlike those it learned from; null if unknown.</summary>
    public Familiarity? Familiarity { get; private init; }

    /// <summary>What it learned from; null if unknown.</summary>
    public ClipContents? Clips { get; private init; }

    /// <exception cref="RunException">The file is no classifier of ours, or its tensors do not fit the model it names.</exception>
    public static TrainedClassifier Load(IDevice device, string path)
    {
        using Checkpoint checkpoint = Checkpoint.Open(path);
        ModelInfo info = checkpoint.Info ?? throw new RunException(
            $"'{path}' does not say which model it holds, how many features a frame has, which backbone made them, or from which " +
                $"probability a clip is violent: another program wrote it.",
            $"A new run with {SettingName.Of(nameof(TrainingOptions.InitialWeights))} FILE and the " +
                $"{SettingName.Of(nameof(TrainingOptions.Model))} that fits makes a classifier of it. Or use best_model.safetensors " +
                "or a .ckpt file that 'cudatrainer train' wrote.");
        if (!Classifiers.Names.Contains(info.Model))
        {
            throw new RunException($"'{path}' holds a model '{info.Model}', which this version does not know.",
                $"It knows {string.Join(", ", Classifiers.Names)}.");
        }

        Classifier model = info.Differences && Classifiers.IsFitted(info.Model)
            ? throw new RunException($"'{path}' puts differences before a model '{info.Model}', which looks at them itself.",
                "The file is damaged; use another one.")
            : NewModel(info);
        checkpoint.RequireFit(model);
        FeatureScaler? scaler = checkpoint.ReadScaler();
        if (scaler is not null && model.IsFitted)
        {
            throw new RunException($"'{path}' standardises the features of a model '{info.Model}', which takes them as they are.",
                "The file is damaged; use another one.");
        }

        Learner learner = NewLearner(device, model, info);
        try
        {
            checkpoint.LoadModel(learner.Parameters);
            scaler?.FoldInto(learner.Model);
            return new TrainedClassifier(learner, info) { Familiarity = checkpoint.ReadFamiliarity(), Clips = checkpoint.ReadClips() };
        }
        catch
        {
            learner.Dispose();
            throw;
        }
    }

    /// <summary>The same classifier for features among which its own are some: the weights of the others are zero.</summary>
    /// <param name="info">What the wider classifier takes.</param>
    /// <param name="first">Where its own features begin in a frame.</param>
    internal TrainedClassifier Widen(IDevice device, ModelInfo info, int first)
    {
        Learner wide = NewLearner(device, NewModel(info), info);
        try
        {
            foreach ((Parameter from, Parameter to) in Learner.Parameters.Parameters.Concat(Learner.Parameters.Buffers)
                .Zip(wide.Parameters.Parameters.Concat(wide.Parameters.Buffers)))
            {
                float[] values = from.Value.Read<float>();
                to.Value.Write((ReadOnlySpan<float>)(from.Shape == to.Shape ? values : Spread(values)));
            }

            return new TrainedClassifier(wide, info) { Clips = Clips };
        }
        catch
        {
            wide.Dispose();
            throw;
        }

        float[] Spread(float[] weights)
        {
            // With differences beside the features, a row of a unit is two of these.
            int rows = weights.Length / Info.Inputs;
            float[] spread = new float[rows * info.Inputs];
            for (int row = 0; row < rows; row++)
            {
                weights.AsSpan(row * Info.Inputs, Info.Inputs).CopyTo(spread.AsSpan((row * info.Inputs) + first));
            }

            return spread;
        }
    }

    /// <summary>
    /// The backbone whose features this classifier was trained on: what the options name, or what needs no name. Layer and preparation of
    /// frames are those that the model records.
    /// </summary>
    /// <exception cref="RunException">It is another backbone, or frames would be prepared otherwise; the features would mean nothing to
    /// this classifier.</exception>
    public BackboneChoice OpenBackbone(VideoOptions options)
    {
        (string Hash, string Layer)? onnx = OnnxBackbone.Parse(Info.Backbone);
        FeatureOptions asked = new()
        {
            Stream = Info.Stream,
            Frames = Info.Frames,
            Weights = options.Weights,
            Threads = options.Threads,
            OnnxRunner = options.OnnxRunner,
            Backbone = options.Backbone ?? (onnx?.Hash == Resnet18.Sha256 ? Resnet18.Name : null),
            BackboneLayer = options.BackboneLayer ?? onnx?.Layer,
            BackboneInput = onnx is null ? options.BackboneInput : $"{Info.Preprocess} {options.BackboneInput}",
            Preprocess = Info.Preprocess switch
            {
                "caffe" => PreprocessChoice.Caffe,
                "torch" => PreprocessChoice.Torch,
                _ => options.Backbone is null ? PreprocessChoice.Torch : PreprocessChoice.Auto,
            },
        };
        if (onnx is not null && asked.Backbone is null)
        {
            throw OtherBackbone("none is given");
        }

        BackboneChoice backbone = BackboneChoice.Open(asked);
        try
        {
            bool isUnknown = Info.Backbone == "unknown" && (options.Weights ?? options.Backbone) is not null;
            if (!isUnknown && (backbone.Identity != Info.Backbone || (onnx is not null && backbone.Preprocess != Info.Preprocess)))
            {
                throw OtherBackbone($"this would be {backbone.Description}{(onnx is null ? "" : $", frames as {backbone.Preprocess}")}");
            }

            int features = Info.Stream.Dimension(backbone.Shape.Features);
            return features == Info.Inputs
                ? backbone
                : throw new RunException($"The classifier takes {Info.Inputs} features a frame; of {backbone.Description} come {features}.",
                    "Give the backbone that made the features it was trained on.");
        }
        catch
        {
            backbone.Dispose();
            throw;
        }

        RunException OtherBackbone(string given) => new(
            $"The classifier was trained on features of another backbone: {Info.BackboneDescription}" +
                $"{(onnx is null ? "" : $" [{Info.Backbone}, frames as {Info.Preprocess}]")}; {given}.",
            onnx is not null ? $"Give the file it was trained with: {SettingName.Of(nameof(VideoOptions.Backbone))} FILE."
            : options.Weights is null ? $"Give the same weights with {SettingName.Of(nameof(TrainingOptions.Weights))} FILE."
            : "Give the weight file it was trained with.");
    }

    /// <exception cref="RunException">The features are of another kind than those that it was trained on.</exception>
    internal void RequireFits(FeatureSet set, string file, bool mayLackClasses = false)
    {
        if (set.Dimension != Info.Inputs)
        {
            throw new RunException(
                $"'{set.Path}' has {set.Dimension} features a frame; the classifier in '{file}' takes {Info.Inputs}.",
                    "Use the features it was trained on, or train a classifier on these.");
        }

        if (!set.ClassList.HasSameNames(Info.ClassList) && !(mayLackClasses && set.ClassList.IsAmong(Info.ClassList)))
        {
            throw new RunException(
                $"'{set.Path}' is of the classes {set.ClassList}; the classifier in '{file}' tells {Info.ClassList} apart.",
                    $"Use clips of its classes ({SettingName.Of(nameof(FeatureOptions.Classes))} puts folders together), or train a " +
                        "classifier on these.");
        }

        string backbone = set.Key.FirstOrDefault(field => field.Key == "backbone").Value ?? "unknown";
        if (backbone != Info.Backbone && backbone != "unknown" && Info.Backbone != "unknown")
        {
            throw new RunException(
                $"'{set.Path}' holds features of backbone {backbone}; the classifier in '{file}' was trained on {Info.Backbone}.",
                    "Extract features with the same weights.");
        }

        string preprocess = set.Key.FirstOrDefault(field => field.Key == "preprocessing").Value ?? "unknown";
        if (preprocess != Info.Preprocess && preprocess != "unknown" && Info.Preprocess != "unknown")
        {
            throw new RunException(
                $"'{set.Path}' holds features of frames prepared as {preprocess}; the classifier in '{file}' was trained on " +
                    $"{Info.Preprocess}.",
                "Extract features with the same preparation.");
        }
    }

    public void Dispose() => Learner.Dispose();

    private static Classifier NewModel(ModelInfo info) => Classifiers.Create(info.Model,
        new ClassifierOptions(info.Inputs, (float)(info.Dropout ?? 0), Differences: info.Differences, Classes: info.Classes.Count));

    private static Learner NewLearner(IDevice device, Classifier model, ModelInfo info) => new(device, model,
        new LearnerOptions(info.Loss ?? LossInfo.PlainOf(info.Classes.Count), new AdamOptions { ClipMode = ClipMode.Off },
            MixedPrecision: false, Seed: 0));
}
