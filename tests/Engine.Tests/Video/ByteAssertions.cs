namespace CudaTrainer.Engine.Tests.Video;

internal static class ByteAssertions
{
    /// <summary>Equality of pictures and files, whose difference nobody wants to read in full.</summary>
    public static void ShouldEqual(this ReadOnlySpan<byte> actual, ReadOnlySpan<byte> expected, string? about = null)
    {
        actual.Length.ShouldBe(expected.Length, about);
        int common = actual.CommonPrefixLength(expected);
        (common == actual.Length).ShouldBeTrue(
            common == actual.Length ? about : $"{about} byte {common} is {actual[common]}, expected {expected[common]}");
    }

    public static void ShouldEqual(this byte[] actual, byte[] expected, string? about = null) =>
        ((ReadOnlySpan<byte>)actual).ShouldEqual(expected, about);
}
