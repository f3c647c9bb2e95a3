namespace CudaTrainer.Live.Watching;

/// <summary>
/// Decides how many windows are computed when the machine does not keep up: one of so many, of every camera the same.
/// </summary>
/// <remarks>
/// It is told every few seconds whether frames had to be left out or waited too long. On a machine that is fully in use, one such look
/// takes one step down; on another the video itself came late, or wrong. Going back up takes a while of looks without, in which the work
/// would also fit with more windows, so that it does not swing.
/// </remarks>
internal sealed class LoadControl
{
    private const int Most = 16;

    /// <summary>Looks without trouble before more is computed.</summary>
    private const int Patience = 6;

    /// <summary>Of what is left to this process, that more windows may take.</summary>
    private const double Room = 0.8;

    /// <summary>Of a machine that is fully in use.</summary>
    private const double Idle = 0.1;

    private int _calm;

    /// <summary>One window of so many is computed.</summary>
    public int Of { get; private set; } = 1;

    /// <summary>The work that all windows would be, in times of what other programs leave of the machine.</summary>
    public double Load { get; private set; }

    /// <summary>Looks at the time since the last look.</summary>
    /// <param name="isBehind">Whether frames were left out, passed over, or waited too long.</param>
    /// <param name="own">The share of the machine that this process used.</param>
    /// <param name="idle">The share that nobody used.</param>
    /// <returns>Whether <see cref="Of"/> has changed.</returns>
    public bool Look(bool isBehind, double own, double idle)
    {
        double busy = own / Math.Max(1e-6, own + idle);
        Load = busy * Of;
        int before = Of;
        if (isBehind && idle < Idle)
        {
            _calm = 0;
            Of = Math.Min(Most, Of + Math.Max(1, Of / 2));
        }
        else if (Of > 1 && !isBehind && ++_calm >= Patience && busy * Of / (Of - 1) < Room)
        {
            _calm = 0;
            Of--;
        }

        return Of != before;
    }
}
