using CudaTrainer.Cli.Presentation;

namespace CudaTrainer.Cli.Tests;

public class TextTableTests
{
    [Fact]
    public void Columns_are_aligned_and_nothing_follows_the_last_word()
    {
        string text = Written(new TextTable("name", ">count", "note").Row("a", "1", "").Row("long name", "1000", new string('x', 300)));

        text.ShouldBe($"name        count   note\na               1\nlong name    1000   {new string('x', 300)}\n");
    }

    [Fact]
    public void Control_codes_in_names_are_not_passed_on()
    {
        Written(new TextTable("file").Row("a\e[31m\nb")).ShouldBe("file\na\uFFFD[31m\uFFFDb\n");
    }

    [Fact]
    public void A_row_of_another_length_is_a_mistake()
    {
        Should.Throw<ArgumentException>(() => new TextTable("one", "two").Row("1"))
            .Message.ShouldContain("1 cells; the table has 2 columns");
    }

    private static string Written(TextTable table)
    {
        StringWriter output = new();
        table.Write(new Terminal(output, TextWriter.Null, TerminalSettings.Pipes).Results);
        return output.ToString();
    }
}
