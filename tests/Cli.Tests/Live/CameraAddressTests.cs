using CudaTrainer.Live.Cameras;

namespace CudaTrainer.Cli.Tests.Live;

public sealed class CameraAddressTests
{
    [Theory]
    [InlineData("rtsp://admin:secret@10.0.0.5/live", "rtsp://10.0.0.5/live")]
    [InlineData("rtsp://admin:sec/ret@10.0.0.5/live", "rtsp://10.0.0.5/live")]
    [InlineData("rtsp://admin:s#c?r@t@10.0.0.5:554/live", "rtsp://10.0.0.5:554/live")]
    [InlineData("rtsp://admin@10.0.0.5/live", "rtsp://10.0.0.5/live")]
    [InlineData("http://cam/video.cgi?user=admin&pwd=secret&size=2", "http://cam/video.cgi?user=***&pwd=***&size=2")]
    [InlineData("https://host:8443/@name/live.m3u8", "https://host:8443/@name/live.m3u8")]
    [InlineData("[tcp] Connection to tcp://a:b@h:1?x failed and http://c:d@e/ too", "[tcp] Connection to tcp://h:1?x failed and http://e/ too")]
    [InlineData("rtsp://[::1]:554/live", "rtsp://[::1]:554/live")]
    public void Credentials_are_taken_out_of_texts(string text, string shown) => CameraAddress.Redact(text).ShouldBe(shown);

    [Theory]
    [InlineData("RTSP://Host/x", CameraKind.Network)]
    [InlineData("udp://@239.0.0.1:5000", CameraKind.Network)]
    [InlineData("/dev/video0", CameraKind.Device)]
    [InlineData("-", CameraKind.Pipe)]
    [InlineData("clips/a.mp4", CameraKind.File)]
    public void An_address_has_a_kind(string address, CameraKind kind) => CameraAddress.Parse(address).Kind.ShouldBe(kind);
}
