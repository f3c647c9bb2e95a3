namespace CudaTrainer.Formats;

/// <summary>
/// How a tensor of ours, [columns, rows], lies in a Keras array [rows, columns]; leading dimensions of the array count as rows, a vector as
/// one row.
/// </summary>
/// <remarks>
/// Keras keeps dense and recurrent kernels as (in, out), convolutions as (height, width, in, out), and flattens activations in the order
/// height, width, channel; the engine has [out, in], [out, in, height, width] and channel, height, width.
/// </remarks>
/// <param name="Rows">Rows that the tensor takes of the array.</param>
/// <param name="Columns">Length of the last dimension.</param>
/// <param name="Spatial">Positions of an image: row p·(Rows/Spatial) + c of the array is element c·Spatial + p of ours.</param>
/// <param name="SwappedGate">Units of a GRU, whose first two gate blocks Keras has in the other order (z, r, h); 0 for none.</param>
/// <param name="FirstRow">First row of the array that belongs to the tensor.</param>
public readonly record struct KerasConversion(int Rows, int Columns, int Spatial = 1, int SwappedGate = 0, int FirstRow = 0)
{
    /// <summary>Puts rows of the Keras array into the tensor.</summary>
    /// <param name="firstRow">Of these rows, counted from the tensor's first.</param>
    /// <param name="rows">Whole rows.</param>
    /// <param name="tensor">All of it.</param>
    public void FromKeras(int firstRow, ReadOnlySpan<float> rows, Span<float> tensor)
    {
        int count = rows.Length / Columns;
        for (int column = 0; column < Columns; column++)
        {
            Span<float> ours = tensor.Slice(OurColumn(column) * Rows, Rows);
            for (int row = 0; row < count; row++)
            {
                ours[OurRow(firstRow + row)] = rows[(row * Columns) + column];
            }
        }
    }

    /// <summary>Puts the tensor into its rows of the Keras array.</summary>
    public void ToKeras(ReadOnlySpan<float> tensor, Span<float> array)
    {
        for (int column = 0; column < Columns; column++)
        {
            ReadOnlySpan<float> ours = tensor.Slice(OurColumn(column) * Rows, Rows);
            for (int row = 0; row < Rows; row++)
            {
                array[((FirstRow + row) * Columns) + column] = ours[OurRow(row)];
            }
        }
    }

    private int OurRow(int row)
    {
        if (Spatial == 1)
        {
            return row;
        }

        (int position, int channel) = Math.DivRem(row, Rows / Spatial);
        return (channel * Spatial) + position;
    }

    private int OurColumn(int column) =>
        column >= 2 * SwappedGate ? column : column < SwappedGate ? column + SwappedGate : column - SwappedGate;
}

/// <summary>A tensor of ours: name, shape, and its place in a Keras array.</summary>
public sealed record KerasTensor(string Name, long[] Shape, KerasConversion Conversion);

/// <summary>An array of a Keras layer.</summary>
/// <param name="Name">As in <c>weight_names</c>, for example <c>lstm_1/lstm_cell/kernel:0</c>.</param>
/// <param name="Shape">Keras's.</param>
/// <param name="Tensors">What it holds; together they fill it.</param>
public sealed record KerasWeight(string Name, long[] Shape, IReadOnlyList<KerasTensor> Tensors);

/// <summary>A Keras layer, its weights in Keras's order: trained ones, then others; many layers have none.</summary>
public sealed record KerasLayer(string Name, IReadOnlyList<KerasWeight> Weights);
