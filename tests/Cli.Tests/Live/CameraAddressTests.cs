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
    [InlineData("rtsp://h/user=admin_password=x_channel=1_stream=0.sdp", "rtsp://h/user=***_password=***_channel=1_stream=0.sdp")]
    [InlineData("unexpected argument \"guard:s3cret@h:554/x\", 'a:b@c'", "unexpected argument \"***@h:554/x\", '***@c'")]
    [InlineData("[rtsp @ 0x55] Stream 0:1, mail a@b: none", "[rtsp @ 0x55] Stream 0:1, mail a@b: none")]
    [InlineData("srt://h?passphrase=x&api_key=y;sig=z", "srt://h?passphrase=***&api_key=***;sig=***")]
    public void Credentials_are_taken_out_of_texts(string text, string shown) => CameraAddress.Redact(text).ShouldBe(shown);

    [Theory]
    [InlineData("rtsp://us er:AS ECRET@h/x")]
    [InlineData("rtsp://user:AS\"ECRET@h/x")]
    [InlineData("rtsp://user:<ECRET@h/x")]
    public void What_must_be_written_otherwise_is_refused_without_being_repeated(string address) =>
        Should.Throw<FormatException>(() => CameraAddress.Parse(address)).Message.ShouldSatisfyAllConditions(
            message => message.ShouldNotContain("ECRET"), message => message.ShouldContain("'rtsp://h/x'"));

    [Theory]
    [InlineData("rtsp://user:it's@h:554/x", "rtsp://h:554/x")]
    [InlineData("rtsp://user:a/b@h/x", "rtsp://h/x")]
    [InlineData("http://h:80/@x", "http://h:80/@x")]
    [InlineData("http://[::1]:80/@x", "http://[::1]:80/@x")]
    public void What_is_shown_of_an_address_has_no_login(string address, string shown)
    {
        CameraAddress parsed = CameraAddress.Parse(address);
        parsed.Text.ShouldBe(shown);
        parsed.Hide($"cannot open {address} at all").ShouldBe($"cannot open {shown} at all");
    }

    [Theory]
    [InlineData("guard:hunter2@127.0.0.1", "'***@127.0.0.1'", "did you mean rtsp://…?")]
    [InlineData("guard:hunter2@127.0.0.1/x", "'***@127.0.0.1/x'", "did you mean rtsp://…?")]
    [InlineData("guard:hun/ter2 hunter2@127.0.0.1", "'***@127.0.0.1'", "did you mean rtsp://…?")]
    [InlineData("rtsp:guard:hunter2@127.0.0.1:554", "'***@127.0.0.1:554'", "did you mean rtsp://…?")]
    [InlineData("rtsp:/guard:hunter2@h", "'***@h'", "did you mean rtsp://…?")]
    [InlineData("//guard:hunter2@h", "'***@h'", "did you mean rtsp://…?")]
    [InlineData("guard:hunter2@rtsp://h/x", "'***@rtsp://h/x'", "did you mean rtsp://…?")]
    [InlineData("rtsp://guard:hunter2", "'rtsp://guard:***'", "the port must be a number")]
    [InlineData("rtsp://guard:hunter2/hunter2", "'rtsp://guard:***'", "the port must be a number")]
    [InlineData("rtsp://guard:hunter2@", "'rtsp://'", "names no host")]
    [InlineData("ftp://guard:hunter2@h", "'ftp://h'", "not by ftp")]
    [InlineData("http://guard:hunter2@[::", "'http://[:***'", "is no IPv6 address")]
    [InlineData("http://guard:hunter2@[::1/x", "'http://[:***'", "is no IPv6 address")]
    [InlineData("http://guard:hunter2@[1:2]/x", "'http://[1:2]/x'", "is no IPv6 address")]
    public void A_login_that_makes_no_address_is_refused_without_being_repeated(string address, string shown, string says) =>
        Should.Throw<FormatException>(() => CameraAddress.Parse(address)).Message.ShouldSatisfyAllConditions(
            message => message.ShouldNotContain("hunter2"), message => message.ShouldStartWith(shown),
            message => message.ShouldContain(says));

    [Theory]
    [InlineData("./at_12:30@gate.mp4", "./at_12:30@gate.mp4")]
    [InlineData("/clips/12:30@gate.mp4", "/clips/12:30@gate.mp4")]
    [InlineData("gate@12:30.mp4", "gate@12:30.mp4")]
    [InlineData("cam/video.cgi?user=admin&pwd=hunter2", "cam/video.cgi?user=***&pwd=***")]
    public void What_is_no_address_is_a_file(string address, string shown)
    {
        CameraAddress parsed = CameraAddress.Parse(address);
        (parsed.Kind, parsed.Text, parsed.Target).ShouldBe((CameraKind.File, shown, address));
    }

    [Theory]
    [InlineData("RTSP://Host/x", CameraKind.Network)]
    [InlineData("udp://@239.0.0.1:5000", CameraKind.Network)]
    [InlineData("/dev/video0", CameraKind.Device)]
    [InlineData("-", CameraKind.Pipe)]
    [InlineData("clips/a.mp4", CameraKind.File)]
    public void An_address_has_a_kind(string address, CameraKind kind) => CameraAddress.Parse(address).Kind.ShouldBe(kind);
}
