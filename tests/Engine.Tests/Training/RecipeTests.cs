using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Engine.Tests.Training;

public class RecipeTests
{
    private static readonly DataFacts FewVideos = new(new ClassCounts(80, 83), 25, Stream: null);

    [Fact]
    public void Few_videos_without_weights_are_learnt_from_by_their_motion_and_a_linear_model()
    {
        var recipe = Recipe.For(Asked(), FewVideos);

        recipe.Options.Stream.ShouldBe(FeatureStream.Motion);
        recipe.Options.Model.ShouldBe("linear");
        recipe.Options.Threshold.ShouldBe(ThresholdRule.Half);
        recipe.Reasons.Count.ShouldBe(3);
        recipe.Reasons[1].ShouldContain("163 clips to train on, from 25 sources");
    }

    [Theory]
    [InlineData("epochs")]
    [InlineData("learning-rate")]
    [InlineData("mixup")]
    public void An_option_of_networks_asks_for_a_network(string option)
    {
        TrainingOptions options = Asked(option) with { Epochs = 30 };

        var recipe = Recipe.For(options, FewVideos);

        recipe.Options.Model.ShouldBe("frame-mlp");
        recipe.Options.Epochs.ShouldBe(option == "epochs" ? 30 : 60);
        recipe.Options.BatchSize.ShouldBe(16);
        recipe.Options.UseFocalLoss.ShouldBeFalse();
        recipe.Reasons.ShouldContain(reason => reason.Contains("is of networks"));
    }

    [Fact]
    public void What_was_given_stays()
    {
        TrainingOptions options = Asked("model", "stream", "batch-size", "use-focal-loss") with { Model = "gru-attention", BatchSize = 8 };

        Recipe recipe = Recipe.For(options, FewVideos);

        (recipe.Options.Model, recipe.Options.Stream, recipe.Options.BatchSize, recipe.Options.UseFocalLoss)
            .ShouldBe(("gru-attention", FeatureStream.Rgb, 8, true));
        recipe.Options.Monitor.ShouldBe("val_loss");
    }

    [Theory]
    [InlineData("epochs", null)]
    [InlineData("initial-weights", "lstm.safetensors")]
    public void A_training_of_ones_own_on_features_or_from_foreign_weights_is_left_alone(string option, string? weights)
    {
        TrainingOptions options = Asked(option) with { InitialWeights = weights };

        Recipe recipe = Recipe.For(options, FewVideos with { Stream = FeatureStream.Rgb });

        recipe.Options.ShouldBeSameAs(options);
        Recipe.For(options, FewVideos, network: weights is null).Options.Model.ShouldBe(weights is null ? "frame-mlp" : "lstm-attention");
    }

    [Fact]
    public void Options_that_nobody_left_open_are_as_they_are()
    {
        TrainingOptions options = new() { DatasetPath = "clips" };

        Recipe recipe = Recipe.For(options, FewVideos);

        recipe.Options.ShouldBeSameAs(options);
        recipe.Reasons.ShouldBeEmpty();
    }

    [Fact]
    public void Trained_weights_are_used_and_features_are_what_they_are()
    {
        Recipe.For(Asked("weights") with { Weights = "vgg19.pth" }, FewVideos).Options.Stream.ShouldBe(FeatureStream.Rgb);
        Recipe.For(Asked(), FewVideos with { Stream = FeatureStream.Rgb }).Options.Stream.ShouldBe(FeatureStream.Rgb);
        Recipe.For(Asked(), FewVideos with { Stream = FeatureStream.Motion }).Options.Stream.ShouldBe(FeatureStream.Motion);
    }

    [Fact]
    public void Thousands_of_clips_and_studies_of_networks_get_a_network()
    {
        Recipe many = Recipe.For(Asked(), FewVideos with { Clips = new ClassCounts(3000, 3000) });
        many.Options.Model.ShouldBe("frame-mlp");
        many.Options.BatchSize.ShouldBe(64);

        Recipe study = Recipe.For(Asked(), FewVideos, network: true, nameof(TrainingOptions.LabelSmoothing));
        study.Options.Model.ShouldBe("frame-mlp");
        study.Options.LabelSmoothing.ShouldBe(0.1);
    }

    private static TrainingOptions Asked(params string[] options) =>
        new() { DatasetPath = "clips", Given = options.Append("dataset-path").ToHashSet() };
}
