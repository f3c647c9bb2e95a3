using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Live.Events;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Tests.Live;

public sealed class EventOptionsTests
{
    public static TheoryData<string, EventOptions> Bad => new()
    {
        { "Cooldown", new() { Cooldown = -1 } },
        { "Before", new() { Events = "events", Before = 1000 } },
        { "Before", new() { Before = 3 } },
        { "After", new() { After = 3 } },
        { "KeepDays", new() { KeepDays = 3 } },
        { "KeepMb", new() { KeepMb = 100 } },
        { "Privacy", new() { Privacy = true } },
        { "Events", new() { Events = " " } },
        { "AlarmClasses", new() { AlarmClasses = " , " } },
        { "Webhook", new() { Webhook = "ftp://host/x" } },
        { "Webhook", new() { Webhook = "host/x" } },
        { "Webhook", new() { Webhooks = ["https://good.example/a", "file:///etc/passwd"] } },
        { "WebhookSecretFile", new() { WebhookSecretFile = "secret" } },
        { "Mqtt", new() { Mqtt = "http://host" } },
        { "Mqtt", new() { Mqtt = "mqtt://user:hunter2@host" } },
        { "Mqtt", new() { Mqtt = "mqtt://host/all/%23" } },
        { "MqttPasswordFile", new() { MqttPasswordFile = "password" } },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public void What_is_wrong_is_told_and_no_password_with_it(string setting, EventOptions options)
    {
        OptionProblem problem = options.Validate().ShouldHaveSingleItem();

        problem.Setting.ShouldBe(setting);
        problem.Message.ShouldNotContain("hunter2");
    }

    [Fact]
    public void Good_options_have_no_problems()
    {
        new EventOptions().Validate().ShouldBeEmpty();
        new EventOptions
        {
            Events = "events", KeepDays = 7, KeepMb = 500, Privacy = true, Webhooks = ["https://a.example/x?token=1", "http://b/"],
            WebhookSecretFile = "secret", Mqtt = "mqtts://user@broker.example:8884/home/cameras", MqttPasswordFile = "password",
        }.Validate().ShouldBeEmpty();
    }

    [Fact]
    public void Classes_that_are_events_are_those_of_the_model()
    {
        ClassList others = ClassList.Of(["kick", "walk", "punch"]);
        new EventOptions().Require(ClassList.Violence);
        new EventOptions { AlarmClasses = "kick, punch" }.Require(others);
        new EventOptions().Require(ClassList.Of(["violent", "walk", "robbery"]));

        Should.Throw<RunException>(() => new EventOptions().Require(others)).Message.ShouldContain("kick, walk, punch");
        Should.Throw<RunException>(() => new EventOptions { AlarmClasses = "kick,push" }.Require(others)).Message.ShouldContain("'push'");
        Should.Throw<RunException>(() => new EventOptions { AlarmClasses = "nonviolent" }.Require(ClassList.Violence));
    }

    [Theory]
    [InlineData("mqtt://host", "host", 1883, null, "cudatrainer", false)]
    [InlineData("mqtts://me@host:99/a/b/", "host", 99, "me", "a/b", true)]
    [InlineData("mqtts://[::1]/x", "::1", 8883, null, "x", true)]
    public void Brokers_are_read_from_their_address(string text, string host, int port, string? user, string topic, bool isEncrypted)
    {
        MqttAddress address = new(text);

        (address.Host, address.Port, address.User, address.Topic, address.IsEncrypted).ShouldBe((host, port, user, topic, isEncrypted));
        address.Shown.ShouldNotContain("me@");
    }

    [Fact]
    public void Secrets_come_from_files_without_the_end_of_the_line()
    {
        using TemporaryFolder folder = new();
        Secret.Read(folder.File("secret", "s3cret\r\n"), "CUDATRAINER_NO_SUCH", nameof(EventOptions.WebhookSecretFile)).ShouldBe("s3cret");
        Secret.Read(null, "CUDATRAINER_NO_SUCH", nameof(EventOptions.WebhookSecretFile)).ShouldBeNull();

        Should.Throw<RunException>(() => Read(folder.File("empty", "\n"))).Message.ShouldContain("holds no secret");
        Should.Throw<RunException>(() => Read(folder.File("long", new string('x', 5000)))).Message.ShouldContain("holds no secret");
        Should.Throw<RunException>(() => Read(folder.File("missing"))).Message.ShouldContain("cannot be read");

        static string? Read(string path) => Secret.Read(path, "CUDATRAINER_NO_SUCH", nameof(EventOptions.WebhookSecretFile));
    }
}
