using CudaTrainer.Training.Events;

namespace CudaTrainer.Training.Options;

/// <summary>The one quantity that decides which checkpoint is best and when training stops.</summary>
internal sealed class Monitor
{
    private static readonly Dictionary<string, (Func<EpochRecord, double> Value, bool SmallerIsBetter)> Quantities = new()
    {
        ["val_accuracy"] = (epoch => epoch.ValAccuracy, false),
        ["val_balanced_accuracy"] = (epoch => epoch.ValBalancedAccuracy, false),
        ["val_auc"] = (epoch => epoch.ValAuc, false),
        ["val_f1"] = (epoch => epoch.ValF1, false),
        ["val_loss"] = (epoch => epoch.ValLoss, true),
    };

    private readonly Func<EpochRecord, double> _value;
    private readonly bool _smallerIsBetter;

    /// <exception cref="ArgumentException">There is no such quantity.</exception>
    public Monitor(string name)
    {
        if (!Quantities.TryGetValue(name, out (Func<EpochRecord, double> Value, bool SmallerIsBetter) quantity))
        {
            throw new ArgumentException($"There is no quantity '{name}' to monitor; there are {string.Join(", ", Names)}.", nameof(name));
        }

        Name = name;
        (_value, _smallerIsBetter) = quantity;
    }

    public static IReadOnlyCollection<string> Names => Quantities.Keys;

    public string Name { get; }

    public double ValueOf(EpochRecord epoch) => _value(epoch);

    /// <summary>Whether <paramref name="value"/> beats <paramref name="best"/>; anything beats NaN, and NaN nothing else.</summary>
    public bool Improves(double value, double best) => double.IsNaN(best) || (_smallerIsBetter ? value < best : value > best);
}
