using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Live.Events;

/// <summary>What is an event of live video, what is saved of it, and who is told.</summary>
public sealed record EventOptions
{
    /// <summary>Environment variables that stand in for the files of secrets.</summary>
    internal const string WebhookSecretVariable = "CUDATRAINER_WEBHOOK_SECRET", MqttPasswordVariable = "CUDATRAINER_MQTT_PASSWORD";

    [Setting(SettingGroup.Events, "Seconds of the latest answers whose mean counts; 0 = each answer by itself", AtLeast = 0, AtMost = 600)]
    public double SmoothLast { get; init; }

    [Setting(SettingGroup.Events, "Seconds that an event must last before anybody is told of it", AtLeast = 0, AtMost = 3600)]
    public double MinLength { get; init; }

    [Setting(SettingGroup.Events, "Seconds after an event within which another continues it instead of being told anew",
        AtLeast = 0, AtMost = 86400)]
    public double Cooldown { get; init; } = 10;

    [Setting(SettingGroup.Events, "Classes that are events, separated by commas, for models of other classes than violent and nonviolent",
        Kind = "list", Placeholder = "NAMES", Default = "violent")]
    public string? AlarmClasses { get; init; }

    [Setting(SettingGroup.Events, "Folder for a clip, a picture and a JSON file of each event; nothing is saved without it",
        Role = SettingRole.Place, Placeholder = "DIR", Kind = "folder")]
    public string? Events { get; init; }

    [Setting(SettingGroup.Events, "Seconds of a clip before its event", AtLeast = 0, AtMost = 120)]
    public double Before { get; init; } = 5;

    [Setting(SettingGroup.Events, "Seconds of a clip after its event", AtLeast = 0, AtMost = 120)]
    public double After { get; init; } = 5;

    [Setting(SettingGroup.Events, "Pixelate all that is saved, so that nobody can be recognised")]
    public bool Privacy { get; init; }

    [Setting(SettingGroup.Events, "Days after which events are deleted from {Events}", Above = 0, AtMost = 36500, Default = "never")]
    public double? KeepDays { get; init; }

    [Setting(SettingGroup.Events, "Megabytes (10⁶ bytes) of events that are kept in {Events}; the oldest go first",
        Above = 0, AtMost = 1e9, Default = "no limit")]
    public double? KeepMb { get; init; }

    [Setting(SettingGroup.Events, "Address that is sent a POST when an event begins and ends; may be given several times",
        Role = SettingRole.Place, Placeholder = "URL", Kind = "address", Values = nameof(Webhooks))]
    [JsonIgnore]
    public string? Webhook
    {
        get => Webhooks.Count == 0 ? null : Webhooks[0];
        init => Webhooks = value is null ? [] : [value];
    }

    /// <summary>Addresses, http or https; empty for none.</summary>
    [JsonPropertyName("webhook")]
    public IReadOnlyList<string> Webhooks { get; init; } = [];

    [Setting(SettingGroup.Events, "File with the secret that requests of {Webhook} are signed with",
        Role = SettingRole.Place, Placeholder = "FILE", Kind = "file", Default = $"${WebhookSecretVariable}")]
    public string? WebhookSecretFile { get; init; }

    [Setting(SettingGroup.Events, "MQTT broker that events are published at, mqtt:// or mqtts://[USER@]HOST[:PORT][/TOPIC]",
        Role = SettingRole.Place, Placeholder = "URL", Kind = "address")]
    public string? Mqtt { get; init; }

    [Setting(SettingGroup.Events, "File with the password for {Mqtt}",
        Role = SettingRole.Place, Placeholder = "FILE", Kind = "file", Default = $"${MqttPasswordVariable}")]
    public string? MqttPasswordFile { get; init; }

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [.. OptionValidation.OfSettings(this)];
        if (AlarmClasses is not null && Alarms.Count == 0)
        {
            problems.Add(new(nameof(AlarmClasses), "names no class"));
        }

        if (Events is null)
        {
            EventOptions initial = new();
            (string Setting, bool IsGiven)[] ofFolder =
            [
                (nameof(Before), Before != initial.Before), (nameof(After), After != initial.After), (nameof(Privacy), Privacy),
                (nameof(KeepDays), KeepDays is not null), (nameof(KeepMb), KeepMb is not null),
            ];
            problems.AddRange(ofFolder.Where(setting => setting.IsGiven)
                .Select(setting => new OptionProblem(setting.Setting, $"needs {SettingName.Of(nameof(Events))} DIR")));
        }
        else
        {
            OptionValidation.CheckText(nameof(Events), Events, problems);
        }

        foreach (string address in Webhooks)
        {
            if (WebhookAddress.Problem(address) is { } wrong)
            {
                problems.Add(new(nameof(Webhook), wrong));
            }
        }

        if (Mqtt is not null && MqttAddress.Problem(Mqtt) is { } fault)
        {
            problems.Add(new(nameof(Mqtt), fault));
        }

        if (WebhookSecretFile is not null && Webhooks.Count == 0)
        {
            problems.Add(new(nameof(WebhookSecretFile), $"needs {SettingName.Of(nameof(Webhook))} URL"));
        }

        if (MqttPasswordFile is not null && Mqtt is null)
        {
            problems.Add(new(nameof(MqttPasswordFile), $"needs {SettingName.Of(nameof(Mqtt))} URL"));
        }

        return problems;
    }

    /// <summary>Checks that a model has the classes that are events.</summary>
    /// <exception cref="RunException">It has not, or nobody said which they are.</exception>
    public void Require(ClassList classes)
    {
        string option = SettingName.Of(nameof(AlarmClasses)), all = string.Join(", ", classes.Names);
        if (Alarms.FirstOrDefault(name => !classes.Names.Contains(name)) is { } missing)
        {
            throw AlarmClasses is null
                ? new RunException($"The model has no class '{missing}', but {all}.", $"Say by {option} which of them are events.")
                : new RunException($"{option}: the model has no class '{missing}'.", $"Its classes are {all}.");
        }

        if (classes.IsViolence && Alarms.Contains(ClassLabel.Name(ClassLabel.Nonviolent)))
        {
            throw new RunException($"{option} is for models of other classes than {all}.", "Leave it out: violent is what is looked for.");
        }
    }

    /// <summary>Of all events that are kept; infinity for no limit.</summary>
    internal double MostBytes => (KeepMb ?? double.PositiveInfinity) * 1e6;

    /// <summary>The classes that are events.</summary>
    internal IReadOnlyList<string> Alarms => AlarmClasses is null
        ? [ClassLabel.Name(ClassLabel.Violent)]
        : AlarmClasses.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}
