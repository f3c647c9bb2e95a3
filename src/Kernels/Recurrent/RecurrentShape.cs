namespace CudaTrainer.Kernels.Cpu;

/// <summary>Sizes and options of a recurrent layer over whole sequences from a zero state.</summary>
/// <param name="Batch">Sequences B.</param>
/// <param name="Time">Steps of each T.</param>
/// <param name="Inputs">Input features I.</param>
/// <param name="Hidden">State size H.</param>
/// <param name="Reverse">Runs from the last time step to the first; outputs keep the order of the inputs.</param>
/// <param name="HalfReserve">Keeps what backward needs in half precision; the maths is single precision either way.</param>
internal readonly record struct RecurrentShape(int Batch, int Time, int Inputs, int Hidden, bool Reverse = false, bool HalfReserve = false)
{
    /// <summary>Rows of the sequences laid end to end.</summary>
    internal int Rows => checked(Batch * Time);

    /// <summary>Time index of the step that is processed as number <paramref name="step"/>.</summary>
    internal int TimeOf(int step) => Reverse ? Time - 1 - step : step;

    /// <summary>Distance in rows from a step to the one processed before it.</summary>
    internal int ToPrevious => Reverse ? 1 : -1;
}
