using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Serve;

/// <summary>The content of the page of a training run.</summary>
internal static class RunView
{
    /// <param name="name">Of the run.</param>
    public static Markup Render(string name, RunState state)
    {
        HtmlBuilder html = new();
        html.Add($"<section id=\"run\" class=\"card\" aria-labelledby=\"run-title\">");
        html.Add($"<div class=\"row\"><h2 id=\"run-title\" class=\"name\">{name}</h2><span class=\"tag {state.Stage.ToString().ToLowerInvariant()}\">{Called(state.Stage)}</span></div>");
        if (state.Message is { } message)
        {
            html.Add($"<p class=\"note bad\" role=\"alert\">{message}</p>");
        }

        html.Add(Explain(state));
        html.Add($"</section>");
        if (state.Record is { History: [.., var last] } run)
        {
            html.Add($"<div id=\"curves\">");
            html.Add(Tiles(run, last));
            html.Add(Page.Grid(LearningSection.Main(run)));
            html.Add($"</div>");
        }

        return html.ToMarkup();
    }

    private static string Called(RunStage stage) => stage switch
    {
        RunStage.Absent => "not there yet",
        RunStage.Starting => "starting",
        RunStage.Running => "running",
        RunStage.Stopped => "stopped",
        RunStage.Finished => "finished",
        _ => "cannot be read",
    };

    private static Markup Explain(RunState state)
    {
        HtmlBuilder html = new();
        switch (state.Stage)
        {
            case RunStage.Absent:
                html.Add($"<p class=\"quiet\">There is no training run in the folder. The page shows one as soon as it begins.</p>");
                break;
            case RunStage.Starting:
                html.Add($"<p class=\"quiet\">Features of new videos are extracted first; curves appear with the first epoch.</p>");
                break;
            case RunStage.Damaged when state.Record is null:
                html.Add($"<p class=\"quiet\">The page tries again by itself.</p>");
                break;
            default:
                html.Add($"<progress max=\"{state.Epochs}\" value=\"{state.Epoch}\" aria-label=\"Epochs\"></progress>");
                html.Add($"<p id=\"epoch\" class=\"quiet\">{Course(state)}</p>");
                break;
        }

        return html.ToMarkup();
    }

    private static string Course(RunState state)
    {
        string epochs = $"Epoch {state.Epoch} of {state.Epochs}";
        return state switch
        {
            { Stage: RunStage.Running, Remaining: { } left } => $"{epochs} · at most {Numbers.Duration(left.TotalSeconds)} left",
            { Stage: RunStage.Finished, Record.Result: { } result } =>
                $"{epochs}{(state.Epoch < state.Epochs ? ", then nothing got better any more" : "")} · best: epoch {result.BestEpoch}",
            { Stage: RunStage.Stopped } => $"{epochs} · nobody trains at the moment",
            _ => epochs,
        };
    }

    private static Markup Tiles(RunRecord run, HistoryRow last)
    {
        HtmlBuilder html = new();
        html.Add($"<dl class=\"tiles card\">");
        Add("loss", Numbers.Loss(last["loss"]));
        Add("validation loss", Numbers.Loss(last["val_loss"]));
        Add("balanced accuracy", Numbers.Percent(last["val_balanced_accuracy"]));
        Add("ROC-AUC", Numbers.Fraction(last["val_auc"]));
        Add("learning rate", Numbers.General(last["lr"]));
        Add("time of an epoch", Numbers.Duration(last["seconds"]));
        if (run.Result?.Test is { } test)
        {
            Add("test: balanced accuracy", Numbers.Percent(test.BalancedAccuracy));
        }

        return html.Add($"</dl>").ToMarkup();

        void Add(string name, string value) => html.Add($"<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
}
