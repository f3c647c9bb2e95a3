using CudaTrainer.Training.Reporting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace CudaTrainer.Serve;

/// <summary>A training run: its page, which shows it without scripts as well, and the numbers behind it.</summary>
internal static class RunEndpoints
{
    public const string PagePath = "/run";

    private const int RefreshSeconds = 5;

    public static void Map(IEndpointRouteBuilder app, ServerParts parts)
    {
        app.MapGet("/api/run", () => TypedResults.Ok(AnswerOf(Watch(parts))))
            .WithTags("run").WithSummary("A training run at this moment, epoch by epoch").Refuses(StatusCodes.Status404NotFound);
        app.MapGet(PagePath, () => parts.Frames.Run.Show(RunView.Render(Watch(parts).Name, Watch(parts).Read()), RefreshSeconds))
            .DescribePage("A training run at this moment").Refuses(StatusCodes.Status404NotFound);
    }

    private static RunWatch Watch(ServerParts parts) => parts.Run
        ?? throw new ApiException(StatusCodes.Status404NotFound, "no_run", "The server was started without the folder of a run.");

    private static RunAnswer AnswerOf(RunWatch watch)
    {
        RunState state = watch.Read();
        return new RunAnswer(
            watch.Name, state.Stage, state.Message, state.Epoch, state.Epochs, state.Remaining?.TotalSeconds, state.Updated,
            state.Record?.Result?.BestEpoch,
            [.. (state.Record?.History ?? []).Select(row => new EpochAnswer(
                row.Epoch, Number(row, "seconds"), Number(row, "lr"), Number(row, "loss"), Number(row, "accuracy"), Number(row, "val_loss"),
                Number(row, "val_accuracy"), Number(row, "val_balanced_accuracy"), Number(row, "val_auc")))]);
    }

    private static double? Number(HistoryRow row, string column) => double.IsFinite(row[column]) ? row[column] : null;
}
