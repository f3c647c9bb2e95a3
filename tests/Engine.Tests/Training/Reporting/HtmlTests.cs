using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Engine.Tests.Training.Reporting;

public class HtmlTests
{
    [Theory]
    [InlineData("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;")]
    [InlineData("\" onload='x' a=\"", "&quot; onload=&#39;x&#39; a=&quot;")]
    [InlineData("a & b &amp;", "a &amp; b &amp;amp;")]
    [InlineData("zero\0 escape\u001b[31m c1\u0085", "zero\ufffd escape\ufffd[31m c1\ufffd")]
    [InlineData("gpj.\u202eexe", "gpj.\ufffdexe")]
    [InlineData("Zürich 格闘 🥊", "Zürich 格闘 🥊")]
    public void What_stands_in_a_hole_is_text(string text, string expected)
    {
        new HtmlBuilder().Add($"<p>{text}</p>").ToString().ShouldBe($"<p>{expected}</p>\n");
    }

    [Fact]
    public void Only_markup_goes_in_as_it_is()
    {
        Markup bold = HtmlBuilder.Piece($"<b>{"<"}</b>");

        new HtmlBuilder().Add($"<p>{bold}{0.5:0.00}</p>").ToString().ShouldBe("<p><b>&lt;</b>0.50</p>\n");
    }

    [Theory]
    [InlineData("plain/path-1.csv", "plain/path-1.csv")]
    [InlineData("my run", "'my run'")]
    [InlineData("it's; rm -rf $HOME", @"'it'\''s; rm -rf $HOME'")]
    public void A_command_to_copy_is_safe_to_paste(string word, string expected) => ShellWord.Quote(word).ShouldBe(expected);
}
