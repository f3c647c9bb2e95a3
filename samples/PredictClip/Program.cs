using System.Globalization;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Training.Inference;

// How violent is a video? By the model that comes with the package, or by one of your own:
//   dotnet run -- CLIP [MODEL]
if (args.Length is < 1 or > 2)
{
    Console.Error.WriteLine("usage: PredictClip CLIP [MODEL]");
    return 2;
}

try
{
    var options = new PredictionOptions();
    if (args.Length == 2)
    {
        options = options with { Checkpoint = args[1] };
    }

    // Loads the model once; any number of videos may follow.
    using Predictor predictor = Predictor.Open(options);
    Prediction answer = predictor.Predict(args[0]);

    // A video that cannot be read is no exception: of a thousand, one is broken, and the others want their answers.
    if (answer.Violent is not { } violent)
    {
        Console.Error.WriteLine($"{answer.Path}: {answer.Error}");
        return 1;
    }

    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"p(violent) = {violent:R}: {answer.Label}"));
    return 0;
}
catch (RunException exception)
{
    // There is no such model, or no such device: what is wrong, and what to do about it.
    Console.Error.WriteLine($"{exception.Message} {exception.Hint}");
    return 1;
}
catch (VideoException exception)
{
    // No video can be read here, because FFmpeg is missing; the message says what to install.
    Console.Error.WriteLine(exception.Message);
    return 1;
}
