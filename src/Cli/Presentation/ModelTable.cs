using System.Globalization;
using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Cli.Presentation;

/// <summary>A model layer by layer, as Keras prints one.</summary>
internal static class ModelTable
{
    public static void Write(Terminal terminal, ModelSummary model)
    {
        TextTable table = new("layer", "type", "output shape", ">parameters");
        foreach (LayerSummary layer in model.Layers)
        {
            table.Row(layer.Name, layer.Kind, $"[batch, {string.Join(", ", layer.Shape)}]", Number(layer.Parameters + layer.Buffers));
        }

        table.Write(terminal.Results);
        terminal.Output.WriteLine();
        terminal.Output.WriteLine(
            $"total {Number(model.Total)}, trainable {Number(model.Trainable)}, not trainable {Number(model.NonTrainable)}");
    }

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
