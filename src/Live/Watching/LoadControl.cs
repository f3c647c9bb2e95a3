namespace CudaTrainer.Live.Watching;

/// <summary>
/// Decides how many windows are computed when the machine does not keep up: one of so many, of every camera the same.
/// </summary>
/// <remarks>
/// It is told every few seconds whether frames had to be left out or waited too long. One such look takes one step down; going back up
/// takes a while of looks without, in which the work would also fit with more windows, so that it does not swing.
/// </remarks>
internal sealed class LoadControl
{
    private const int Most = 16;

    /// <summary>Looks without trouble before more is computed.</summary>
    private const int Patience = 6;

    /// <summary>Of the machine that more windows may take.</summary>
    private const double Room = 0.8;

    private int _calm;

    /// <summary>One window of so many is computed.</summary>
    public int Of { get; private set; } = 1;

    /// <summary>The work that all windows would be, in times of what the machine manages.</summary>
    public double Load { get; private set; }

    /// <summary>Looks at the time since the last look.</summary>
    /// <param name="isBehind">Whether frames were left out, passed over, or waited too long.</param>
    /// <param name="busy">The share of the machine that was in use.</param>
    /// <returns>Whether <see cref="Of"/> has changed.</returns>
    public bool Look(bool isBehind, double busy)
    {
        Load = busy * Of;
        int before = Of;
        if (isBehind)
        {
            _calm = 0;
            Of = Math.Min(Most, Of + Math.Max(1, Of / 2));
        }
        else if (Of > 1 && ++_calm >= Patience && busy * Of / (Of - 1) < Room)
        {
            _calm = 0;
            Of--;
        }

        return Of != before;
    }
}
