namespace CudaTrainer.Kernels.Device;

/// <summary>Elements in single precision.</summary>
internal readonly unsafe struct Float32 : IElement<Four>
{
    public static int Bytes => sizeof(float);

    public static float Read(byte* array, long index) => ((float*)array)[index];

    public static void Write(byte* array, long index, float value) => ((float*)array)[index] = value;

    public static Four ReadGroup(byte* array, long index, long available, int aligned) =>
        Four.ReadFloats((float*)array + index, available, aligned);

    public static void WriteGroup(byte* array, long index, long available, int aligned, Four values) =>
        Four.WriteFloats((float*)array + index, available, aligned, values);

    public static void WriteEight(byte* array, long index, Eight values) =>
        Eight.WriteFloats((float*)array + index, Eight.Lanes, aligned: 1, values);

    public static Four ReadFour(byte* array, long index, long available, int aligned) => ReadGroup(array, index, available, aligned);

    public static Four ReadStrided(byte* array, long index, int stride)
    {
        float* from = (float*)array + index;
        return Four.Of(from[0], from[stride], from[2 * stride], from[3 * stride]);
    }

    public static void WriteStrided(byte* array, long index, int stride, int count, Four values)
    {
        float* to = (float*)array + index;
        to[0] = values.A;
        to[stride] = values.B;
        to[2 * stride] = values.C;
        if (count > 3)
        {
            to[3 * stride] = values.D;
        }
    }
}
