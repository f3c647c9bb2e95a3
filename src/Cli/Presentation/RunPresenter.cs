using System.Globalization;
using CudaTrainer.Training.Events;
using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>
/// Shows a run on standard error while it works. On a terminal the stage at work is one line redrawn in place; elsewhere it is a plain line
/// every ten seconds at most. For programs everything is a line of JSON, progress every second at most.
/// </summary>
internal sealed class RunPresenter(Terminal terminal, TimeProvider? time = null) : IRunObserver
{
    private static readonly TimeSpan RedrawInterval = TimeSpan.FromMilliseconds(100), HeartbeatInterval = TimeSpan.FromSeconds(10),
        EventInterval = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly EpochTable _epochs = new(terminal.IsLive ? terminal.Settings.Width : TerminalSettings.Unlimited);
    private string _stage = "";
    private long _lastProgress;
    private bool _lineIsOpen;

    /// <summary>Whether the dataset table is shown; not where the command's result shows it anyway.</summary>
    public bool ShowsDataset { get; set; } = true;

    public void Message(Severity severity, string text)
    {
        CloseLine();
        switch (severity)
        {
            case Severity.Error:
                terminal.WriteError(text);
                break;
            case Severity.Warning:
                terminal.WriteWarning(text);
                break;
            default:
                terminal.WriteLog(text);
                break;
        }
    }

    public void Header(IReadOnlyList<HeaderLine> lines)
    {
        if (terminal.Quiet || lines.Count == 0)
        {
            return;
        }

        if (terminal.Events)
        {
            terminal.WriteEvent("header", new { Lines = lines.ToDictionary(line => line.Label, line => line.Text) });
            return;
        }

        CloseLine();
        int width = lines.Max(line => line.Label.Length);
        foreach ((string label, string text) in lines)
        {
            terminal.Log.MarkupLineInterpolated(CultureInfo.InvariantCulture, $"[bold]{label.PadRight(width)}[/]  {text}");
        }

        terminal.WriteLog("");
    }

    public void Dataset(IReadOnlyList<SplitRow> splits)
    {
        if (terminal.Quiet || !ShowsDataset)
        {
            return;
        }

        if (terminal.Events)
        {
            terminal.WriteEvent("dataset", new { Splits = splits });
            return;
        }

        CloseLine();
        DatasetTable.Of(splits).Write(terminal.Log);
        terminal.WriteLog("");
    }

    public void Progress(StageProgress progress)
    {
        if (terminal.Quiet)
        {
            return;
        }

        bool isNew = progress.Stage != _stage, isDone = progress.Done >= progress.Total;
        if (isNew)
        {
            CloseLine();
            _stage = progress.Stage;
            _lastProgress = _time.GetTimestamp();
        }

        TimeSpan elapsed = _time.GetElapsedTime(_lastProgress);
        if (terminal.Events)
        {
            if (isNew || isDone || elapsed >= EventInterval)
            {
                terminal.WriteEvent("progress", progress);
                _lastProgress = _time.GetTimestamp();
            }

            return;
        }

        if (terminal.IsLive)
        {
            if (isNew || isDone || elapsed >= RedrawInterval)
            {
                Redraw(ProgressText.Of(progress));
                _lastProgress = _time.GetTimestamp();
            }

            return;
        }

        if (elapsed >= HeartbeatInterval)
        {
            terminal.WriteLog(ProgressText.Of(progress));
            _lastProgress = _time.GetTimestamp();
        }
    }

    public void Epoch(EpochRecord epoch)
    {
        if (terminal.Quiet)
        {
            return;
        }

        if (terminal.Events)
        {
            terminal.WriteEvent("epoch", epoch);
            return;
        }

        EraseLine();
        foreach (string line in _epochs.Lines(epoch))
        {
            if (epoch.IsBest && line.EndsWith('*'))
            {
                terminal.Log.MarkupLineInterpolated(CultureInfo.InvariantCulture, $"[green]{line}[/]");
            }
            else
            {
                terminal.WriteLog(line);
            }
        }

        // An epoch line says that the run lives as well as a heartbeat would.
        _lastProgress = _time.GetTimestamp();
    }

    /// <summary>Ends the live line, so that what is written next starts on a line of its own.</summary>
    public void CloseLine()
    {
        if (_lineIsOpen)
        {
            terminal.Error.WriteLine();
            _lineIsOpen = false;
        }
    }

    private void EraseLine()
    {
        if (_lineIsOpen)
        {
            terminal.Error.Write("\r\e[2K");
            _lineIsOpen = false;
        }
    }

    private void Redraw(string text)
    {
        int room = terminal.Settings.Width - 1;
        terminal.Error.Write($"\r\e[2K{(text.Length > room ? text[..room] : text)}");
        _lineIsOpen = true;
    }
}
