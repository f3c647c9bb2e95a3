using CudaTrainer.Data.Video;

namespace CudaTrainer.Engine.Tests.Video;

public class FramePainterTests
{
    [Fact]
    public void A_number_is_drawn_as_it_reads()
    {
        byte[] rgb = new byte[8 * 7 * 3];
        new FramePainter(rgb, 8, 7).Text(1, 1, "4.", 1, (255, 1, 2));

        string[] rows = [.. Enumerable.Range(0, 7)
            .Select(y => string.Concat(Enumerable.Range(0, 8).Select(x => rgb[((y * 8) + x) * 3] == 255 ? '#' : ' ')))];
        rows.ShouldBe(["        ", " # #    ", " # #    ", " ###    ", "   #    ", "   #  # ", "        "]);
        rgb[((1 * 8) + 1) * 3 + 2].ShouldBe((byte)2);
    }

    [Fact]
    public void Names_are_drawn_in_capitals_and_what_has_no_sign_as_a_question_mark()
    {
        FramePainter.Drawable("Schlägerei_2 😀").ShouldBe("SCHL?GEREI_2 ?");
        byte[] rgb = new byte[FramePainter.TextWidth("FZ", 1) * FramePainter.DigitHeight * 3];
        int width = FramePainter.TextWidth("FZ", 1);
        new FramePainter(rgb, width, FramePainter.DigitHeight).Text(0, 0, FramePainter.Drawable("fz"), 1, (255, 1, 2));

        string[] rows = [.. Enumerable.Range(0, FramePainter.DigitHeight)
            .Select(y => string.Concat(Enumerable.Range(0, width).Select(x => rgb[((y * width) + x) * 3] == 255 ? '#' : ' ')))];
        rows.ShouldBe(["### ###", "#     #", "##   # ", "#   #  ", "#   ###"]);
    }

    [Fact]
    public void What_reaches_beyond_the_picture_is_cut_off()
    {
        byte[] rgb = new byte[4 * 3 * 3];
        var painter = new FramePainter(rgb, 4, 3);

        painter.Fill(-5, -5, 6, 6, (1, 1, 1));
        painter.Fill(3, 2, 100, 100, (2, 2, 2));
        painter.Fill(9, 9, 5, 5, (3, 3, 3));

        Enumerable.Range(0, 12).Select(i => (int)rgb[i * 3]).ShouldBe([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    }
}
