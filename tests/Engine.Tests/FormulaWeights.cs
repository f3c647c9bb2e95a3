using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Engine.Tests;

/// <summary>Weights and frames of the backbone that follow from formulas, the same in golden/vgg19.py.</summary>
internal sealed class FormulaWeights : IVgg19WeightSource
{
    private static readonly Dictionary<string, (int Seed, double Scale)> Tensors = Vgg19.WeightShapes().Index().ToDictionary(
        pair => pair.Item.Name,
        pair => (pair.Index, pair.Item.Shape.Rank == 1 ? 0.05 : Math.Sqrt(6.0 * pair.Item.Shape[0] / pair.Item.Shape.Count)));

    public string Identity => "formula";

    public string Description => "formula";

    public void Read(string name, Span<float> destination)
    {
        (int seed, double scale) = Tensors[name];
        for (int i = 0; i < destination.Length; i++)
        {
            destination[i] = FormulaNoise.At(i, seed, scale);
        }
    }

    /// <summary>Frames of noise, as vgg19.py makes them.</summary>
    public static byte[] Pixels(int frames)
    {
        byte[] pixels = new byte[frames * Vgg19.ImageSize * Vgg19.ImageSize * 3];
        for (int i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)(FormulaNoise.Hash(i, 500) >> 24);
        }

        return pixels;
    }
}
