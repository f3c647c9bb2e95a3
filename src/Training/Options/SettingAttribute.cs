namespace CudaTrainer.Training.Options;

/// <summary>Headings under which settings are listed, in this order.</summary>
internal enum SettingGroup
{
    Data,
    Model,
    Loss,
    Optimiser,
    Precision,
    Server,
    Events,
    Output,
    Debug,
}

/// <summary>What a setting is to those who take only some of all settings.</summary>
[Flags]
internal enum SettingRole
{
    None = 0,

    /// <summary>Decides what is learnt: a run is resumed only with the value that it began with.</summary>
    Learned = 1,

    /// <summary>
    /// The same, but only where it is not at its default. For settings that came later: runs from before them can still be resumed.
    /// </summary>
    LearnedIfSet = 2,

    /// <summary>Where things are and how the work is carried out, which decides no result: not shown among hyperparameters.</summary>
    Place = 4,

    /// <summary>About the files, the split or the course of one run: nothing for studies, which make many.</summary>
    SingleRun = 8,

    /// <summary>About the course of a whole training: nothing for a sweep of learning rates.</summary>
    Course = 16,

    /// <summary>Switched by the rows of an ablation.</summary>
    Ablated = 32,

    /// <summary>Nothing for commands that use a trained model: the model decides it, or only training can have it.</summary>
    OfTraining = 64,

    /// <summary>About files on this machine, or more than one answer for each: nothing for a server.</summary>
    Offline = 128,

    /// <summary>Part of the recipe, which follows the data unless it is given: <see cref="Options.Recipe"/>.</summary>
    Recipe = 256,

    /// <summary>About training step by step: nothing for models that a solver fits.</summary>
    OfSteps = 512,
}

/// <summary>
/// Declares a property of an options record as a setting. Parsing, help, validation, configuration files, the fingerprint of a run,
/// TensorBoard's hyperparameters and the options of every command follow from it and from the property: its name, type and initial value.
/// </summary>
/// <param name="help">What it means, without a full stop; <c>{Property}</c> names another setting.</param>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class SettingAttribute(SettingGroup group, string help) : Attribute
{
    public SettingGroup Group { get; } = group;

    public string Help { get; } = help;

    public SettingRole Role { get; init; }

    /// <summary>The name where it is not that of the property with hyphens.</summary>
    public string? Name { get; init; }

    /// <summary>Smallest number accepted.</summary>
    public double AtLeast { get; init; } = double.NaN;

    /// <summary>Numbers accepted are larger.</summary>
    public double Above { get; init; } = double.NaN;

    /// <summary>Largest number accepted.</summary>
    public double AtMost { get; init; } = double.NaN;

    /// <summary>Numbers accepted are smaller.</summary>
    public double Below { get; init; } = double.NaN;

    /// <summary>A type whose static property <c>Names</c> lists the texts accepted.</summary>
    public Type? NamesOf { get; init; }

    /// <summary>Values accepted, for a person, where neither numbers nor names say it.</summary>
    public string? Accepts { get; init; }

    /// <summary>Stands for a text in help, for example <c>FILE</c>.</summary>
    public string Placeholder { get; init; } = "NAME";

    /// <summary>What a text is, for example <c>.json file</c>.</summary>
    public string Kind { get; init; } = "name";

    /// <summary>
    /// The property, a list of texts, that takes the values of a setting which may be given several times; null where it may be given
    /// once.
    /// </summary>
    public string? Values { get; init; }

    /// <summary>What holds unless it is set, for a person, where the initial value does not say it.</summary>
    public string? Default { get; init; }
}

/// <summary>Declares a property of an options record as a record whose settings belong to it.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class SettingsAttribute : Attribute
{
    /// <summary>Settings with one of these roles are left at their initial values.</summary>
    public SettingRole Except { get; init; }

    /// <summary>The name of one more property that is left out, a setting or a record of them.</summary>
    public string? Without { get; init; }
}
