using System.Text.RegularExpressions;
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
        Written(new TextTable("file").Row("a\e[31m\nb")).ShouldBe("file\na\uFFFD[31m\\nb\n");
    }

    [Fact]
    public void A_terminal_that_is_too_narrow_gets_a_list_for_each_row()
    {
        TextTable table = new TextTable("split", ">clips", ">nonviolent (0)", "note")
            .Row("train", "7", "3", "").Row("val", "2", "1", "few");

        Written(table, columns: 30).ShouldBe("""
            train
              clips           7
              nonviolent (0)  3
            val
              clips           2
              nonviolent (0)  1
              note            few

            """);
        Written(table, columns: 60).ShouldBe(Written(table));
        Written(new TextTable(">p", "label", "video").Row("0.9", "violent", "a.mp4"), columns: 15).ShouldBe("""
              p      0.9
              label  violent
              video  a.mp4


            """);
    }

    [Fact]
    public void A_row_of_another_length_is_a_mistake()
    {
        Should.Throw<ArgumentException>(() => new TextTable("one", "two").Row("1"))
            .Message.ShouldContain("1 cells; the table has 2 columns");
    }

    private static string Written(TextTable table, int columns = TerminalSettings.Unlimited)
    {
        StringWriter output = new();
        TerminalSettings settings = columns == TerminalSettings.Unlimited
            ? TerminalSettings.Pipes
            : new TerminalSettings(OutputIsTerminal: true, ErrorIsTerminal: false, Colour: false, columns);
        table.Write(new Terminal(output, TextWriter.Null, settings).Results);
        return Regex.Replace(output.ToString(), "\e\\[[0-9;]*m", "");
    }
}
