using System.Collections.Immutable;

namespace CudaTrainer.Engine.Formats;

/// <summary>The tensors of a VGG19 up to fc2, by torchvision's names, and how weight files spell them.</summary>
/// <remarks>
/// torchvision/models/vgg.py, configuration E: <c>features.N</c> are the 3×3 convolutions (weights OIHW), <c>classifier.0</c> and
/// <c>.3</c> are fc1 (over C·H·W) and fc2. timm writes those two as convolutions, <c>pre_logits.fc1</c> and <c>.fc2</c>. The last
/// layer (<c>classifier.6</c>, <c>head.fc</c>) gives ImageNet classes and is not used.
/// </remarks>
public static class Vgg19Names
{
    private static readonly (int Index, long Inputs, long Outputs)[] s_convolutions =
    [
        (0, 3, 64), (2, 64, 64),
        (5, 64, 128), (7, 128, 128),
        (10, 128, 256), (12, 256, 256), (14, 256, 256), (16, 256, 256),
        (19, 256, 512), (21, 512, 512), (23, 512, 512), (25, 512, 512),
        (28, 512, 512), (30, 512, 512), (32, 512, 512), (34, 512, 512),
    ];

    /// <summary>Name and shape of every tensor, in the order of the layers.</summary>
    public static ImmutableArray<(string Name, long[] Shape)> Tensors { get; } =
    [
        .. s_convolutions.SelectMany(layer => Layer($"features.{layer.Index}", [layer.Outputs, layer.Inputs, 3, 3])),
        .. Layer("classifier.0", [4096, 25088]),
        .. Layer("classifier.3", [4096, 4096]),
    ];

    /// <summary>How timm spells the fully connected layers: name, and shape as a convolution.</summary>
    internal static ImmutableArray<(string Canonical, string Timm, long[] Shape)> TimmSpellings { get; } =
    [
        ("classifier.0.weight", "pre_logits.fc1.weight", [4096, 512, 7, 7]),
        ("classifier.0.bias", "pre_logits.fc1.bias", [4096]),
        ("classifier.3.weight", "pre_logits.fc2.weight", [4096, 4096, 1, 1]),
        ("classifier.3.bias", "pre_logits.fc2.bias", [4096]),
    ];

    /// <summary>The ImageNet layer, present in full models and never read.</summary>
    internal static bool IsUnusedHead(string name) =>
        name is "classifier.6.weight" or "classifier.6.bias" or "head.fc.weight" or "head.fc.bias";

    private static IEnumerable<(string Name, long[] Shape)> Layer(string name, long[] weightShape) =>
        [($"{name}.weight", weightShape), ($"{name}.bias", [weightShape[0]])];
}
