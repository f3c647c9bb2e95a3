using CudaTrainer.Engine.Devices;
using CudaTrainer.Formats;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Linear;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

public sealed class FamiliarityTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Clips_like_those_of_training_are_near_and_others_far()
    {
        MemoryRows known = new(120, seed: 1), alike = new(120, seed: 2), strange = new(40, seed: 3, change: features =>
        {
            for (int i = 0; i < features.Length; i++)
            {
                features[i] = (features[i] * 3) - 2;
            }
        });

        Familiarity familiarity = FamiliarityFit.Of(known, [new FeatureBlock(0, 16, 8)], seed: 1, CancellationToken.None)!;

        double[] distances = Distances(known);
        Math.Sqrt(distances.Average(distance => distance * distance)).ShouldBe(1, 0.01);
        Share(alike).ShouldBeInRange(0.005, 0.15);
        Share(strange).ShouldBe(1);

        double[] Distances(MemoryRows rows) => [.. Enumerable.Range(0, rows.Count).Select(i => familiarity.DistanceOf(rows.Values(i)))];

        double Share(MemoryRows rows) => Distances(rows).Average(distance => distance > familiarity.Limit ? 1.0 : 0);
    }

    [Fact]
    public void Clips_that_are_all_alike_have_no_neighbourhood() =>
        FamiliarityFit.Of(new MemoryRows(30, change: Array.Clear), [new FeatureBlock(0, 16, 8)], seed: 1, CancellationToken.None)
            .ShouldBeNull();

    [Fact]
    public void The_model_that_comes_with_the_program_opens_and_a_damaged_one_is_named()
    {
        using CpuDevice device = new(threads: 1);
        using (var model = TrainedClassifier.Load(device, BundledModel.Resolve(BundledModel.Name)))
        {
            model.Info.Card!.ShouldContain("240 clips from 35 sources");
            model.Familiarity!.Limit.ShouldBeGreaterThan(1);
        }

        byte[] bytes = File.ReadAllBytes(BundledModel.Resolve(BundledModel.Name));
        string cut = _folder.File("cut.safetensors");
        File.WriteAllBytes(cut, bytes[..^1000]);
        Should.Throw<FileFormatException>(() => TrainedClassifier.Load(device, cut)).Message.ShouldContain(cut);

        // Another number of features than the model says.
        string other = _folder.File("other.safetensors");
        File.WriteAllText(other, System.Text.Encoding.Latin1.GetString(bytes)
            .Replace("\\\"inputs\\\": 231", "\\\"inputs\\\": 230", StringComparison.Ordinal), System.Text.Encoding.Latin1);
        Should.Throw<RunException>(() => TrainedClassifier.Load(device, other)).Message.ShouldContain(other);
    }

    public void Dispose() => _folder.Dispose();
}
