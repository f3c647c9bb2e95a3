using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Export;

/// <summary>A backbone from an ONNX file in front of a classifier, in one graph.</summary>
internal static class OnnxWhole
{
    /// <summary>Adds what prepares frames, the network up to its layer, and what puts its features into the order of the frames.</summary>
    /// <param name="frames">The name of the frames, [batch, T, height, width, 3] UInt8, red first.</param>
    /// <param name="count">T.</param>
    /// <param name="features">D, of a frame.</param>
    /// <returns>The name of the features, [batch, T, D].</returns>
    public static string Export(OnnxGraph graph, string frames, OnnxBackbone backbone, int count, int features)
    {
        FrameInput input = backbone.Input;
        long[] picture = [input.Height, input.Width, 3];
        OnnxFrameNetwork.Segment[] segments = [.. OnnxFrameNetwork.Segments(count, count, input.Clip)];
        string x = frames;
        if (input.Clip > 0)
        {
            long[] order = [.. segments.SelectMany(segment => segment.Frames).Select(frame => (long)frame)];
            x = graph.Add("Gather", "frames/segments", [x, graph.Constant("frames/order", order, order.Length)],
                OnnxAttribute.Of("axis", 1));
            picture = [input.Clip, .. picture];
        }

        x = graph.Add("Reshape", "frames/single",
            [x, graph.Constant<long>("frames/shape", [-1, .. picture], picture.Length + 1)]);
        string rows = graph.AddPart(Prepared(graph, x, input));
        if (input.Clip == 0)
        {
            return graph.Add("Reshape", "features", [rows, graph.Constant<long>("features/shape", [-1, count, features], 3)]);
        }

        // Each frame has the features of its segment.
        x = graph.Add("Reshape", "features/segments",
            [rows, graph.Constant<long>("features/shape", [-1, segments.Length, features], 3)]);
        long[] segmentOf = [.. Enumerable.Range(0, count).Select(frame =>
            (long)Array.FindIndex(segments, segment => frame >= segment.First && frame < segment.Past))];
        return graph.Add("Gather", "features", [x, graph.Constant("features/segment_of", segmentOf, count)], OnnxAttribute.Of("axis", 1));
    }

    /// <summary>As <see cref="FrameInput.Fill(ReadOnlySpan{byte}, Span{float}, int)"/>.</summary>
    private static string Prepared(OnnxGraph graph, string x, FrameInput input)
    {
        bool isFirst = input.ChannelsFirst != false;
        int channelAxis = isFirst ? 1 : input.Clip > 0 ? 4 : 3;
        if (isFirst)
        {
            x = graph.Add("Transpose", "frames/planes", [x],
                OnnxAttribute.Of("perm", input.Clip > 0 ? [0, 4, 1, 2, 3] : [0, 3, 1, 2]));
        }

        if (input.IsBgr)
        {
            x = graph.Add("Gather", "frames/bgr", [x, graph.Constant<long>("frames/blue_first", [2, 1, 0], 3)],
                OnnxAttribute.Of("axis", channelAxis));
        }

        if (input.IsBytes)
        {
            return x;
        }

        long[] shape = !isFirst ? [3] : input.Clip > 0 ? [3, 1, 1, 1] : [3, 1, 1];
        float[] mean = [.. input.Mean.Select(mean => (float)(mean * input.Scale))],
            factor = [.. input.Deviation.Select(deviation => (float)(1 / (input.Scale * deviation)))];
        x = graph.Add("Cast", "frames/float", [x], OnnxAttribute.Of("to", OnnxDataType.Of(ElementType.F32)));
        x = graph.Add("Sub", "frames/centred", [x, graph.Constant("frames/mean", mean, shape)]);
        return graph.Add("Mul", "frames/normalized", [x, graph.Constant("frames/factor", factor, shape)]);
    }
}
