using System.Text.Json;
using CudaTrainer.Formats;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Formats;

public class StrictJsonTests
{
    private const string Needed =
        """ "model": "linear", "inputs": 2, "frames": 3, "backbone": "b", "backbone_description": "a", "preprocess": "torch" """;

    /// <summary>Generated code would leave null and zero in properties that can only be set when the object is made.</summary>
    [Fact]
    public void What_a_file_does_not_say_has_the_value_that_the_record_gives_it()
    {
        ModelInfo info = StrictJson.Deserialize($"{{ {Needed} }}", RunJson.Default.ModelInfo)!;

        info.Classes.ShouldBe(["nonviolent", "violent"]);
        info.Threshold.ShouldBe(0.5);
        TrainingState state = StrictJson.Deserialize("{}", RunJson.Default.TrainingState)!;
        (state.LearningRateFactor, state.LossScale, state.History.Count, state.Fingerprint.Count).ShouldBe((1, 1, 0, 0));
        state.BestValue.ShouldBe(double.NaN);
        StrictJson.Deserialize("{}", RunJson.Default.TrainingOptions)!.Model.ShouldBe("lstm-attention");
    }

    [Theory]
    [InlineData(""" "classes": null """, "$.classes is null")]
    [InlineData(""" "classes": ["a", null] """, "$.classes[1] is null")]
    [InlineData(""" "backbone": null """, "$.backbone is null")]
    [InlineData(""" "loss": { "focal": false, "gamma": 0, "smoothing": 0, "class_weights": [1, 1] } """, "$.loss.alpha is missing")]
    [InlineData(""" "loss": { "focal": false, "gamma": 0, "smoothing": 0, "class_weights": null, "alpha": [1, 1] } """,
        "$.loss.class_weights is null")]
    [InlineData(""" "average": "\ud800" """, "")]
    public void Null_where_a_value_belongs_is_named(string wrong, string message) =>
        Should.Throw<JsonException>(() => StrictJson.Deserialize($"{{ {Needed}, {wrong} }}", RunJson.Default.ModelInfo))
            .Message.ShouldContain(message);

    [Fact]
    public void Null_is_read_where_it_is_declared()
    {
        ModelInfo info = StrictJson.Deserialize($$"""{ {{Needed}}, "loss": null, "dropout": null, "card": null }""",
            RunJson.Default.ModelInfo)!;

        (info.Loss, info.Dropout, info.Card).ShouldBe((null, null, null));
        StrictJson.Deserialize("null", RunJson.Default.ModelInfo).ShouldBeNull();
        Should.Throw<JsonException>(() => StrictJson.Deserialize<Dictionary<string, string>>("""{ "a": null }"""u8))
            .Message.ShouldContain("$.a is null");
    }
}
