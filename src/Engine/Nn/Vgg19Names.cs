using System.Collections.Immutable;

namespace CudaTrainer.Engine.Nn;

/// <summary>The tensors of a VGG19 up to fc2, by torchvision's names, and how weight files spell them.</summary>
/// <remarks>
/// torchvision/models/vgg.py, configuration E: <c>features.N</c> are the 3×3 convolutions (weights OIHW), <c>classifier.0</c> and
/// <c>.3</c> are fc1 (over C·H·W) and fc2. timm writes those two as convolutions, <c>pre_logits.fc1</c> and <c>.fc2</c>. The last
/// layer (<c>classifier.6</c>, <c>head.fc</c>) gives ImageNet classes and is not used.
/// </remarks>
public static class Vgg19Names
{
    /// <summary>Name and shape of every tensor, in the order of the layers.</summary>
    public static ImmutableArray<(string Name, long[] Shape)> Tensors { get; } =
        [.. Vgg19.WeightShapes().Select(tensor => (tensor.Name, tensor.Shape.ToLengths()))];

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
}
