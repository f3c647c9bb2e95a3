using System.Text;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Formats;

/// <summary>A weight file from a stranger must never run code, and never take the machine down.</summary>
public sealed class HostilePickleTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Marker => _folder.File("executed");

    private string Command => $"touch {Marker}";

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Global_and_reduce() =>
        Refuse(PickleBuilder.Empty.Global("os", "system").Text(Command).Op('\x85').Op('R').Op('.'))
            .ShouldContain("the pickle asks for 'os.system', which is no part of a state_dict; it was not executed");

    [Fact]
    public void Stack_global_and_reduce() =>
        Refuse(PickleBuilder.Empty.Text("builtins").Text("eval").Op('\x93').Text($"__import__('os').system('{Command}')").Op('\x85').Op('R')
            .Op('.'))
            .ShouldContain("'builtins.eval'");

    [Fact]
    public void Inst() =>
        Refuse(PickleBuilder.Empty.Op('(').Text(Command).Op('i', "posix\nsystem\n"u8).Op('.'))
            .ShouldContain("'posix.system', which is no part of a state_dict; it was not executed");

    [Fact]
    public void Inst_of_an_allowed_name() =>
        Refuse(PickleBuilder.Empty.Op('(').Op('i', "collections\nOrderedDict\n"u8).Op('.')).ShouldContain("it was not executed");

    [Fact]
    public void Obj() =>
        Refuse(PickleBuilder.Empty.Op('(').Global("collections", "OrderedDict").Text(Command).Op('o').Op('.'))
            .ShouldContain("instruction Obj does not occur in a state_dict; nothing was executed");

    [Fact]
    public void New_object() =>
        Refuse(PickleBuilder.Empty.Global("collections", "OrderedDict").Op(')').Op('\x81').Op('.'))
            .ShouldContain("instruction NewObject does not occur in a state_dict; nothing was executed");

    [Fact]
    public void Build_on_anything_but_a_dict() =>
        Refuse(PickleBuilder.Empty.Op(']').Op('}').Op('b').Op('.'))
            .ShouldContain("sets the state of something other than a dict; nothing was executed");

    [Fact]
    public void Build_on_a_storage_class() =>
        Refuse(PickleBuilder.Empty.Global("torch", "FloatStorage").Op('}').Text("__call__").Text(Command).Op('s').Op('b').Op('.'))
            .ShouldContain("nothing was executed");

    [Fact]
    public void Reduce_of_what_is_no_function()
    {
        Refuse(PickleBuilder.Empty.Text("os.system").Text(Command).Op('\x85').Op('R').Op('.')).ShouldContain("expected a function");
        Refuse(PickleBuilder.Empty.Global("torch", "FloatStorage").Text(Command).Op('\x85').Op('R').Op('.'))
            .ShouldContain("expected a function");
        Refuse(PickleBuilder.Empty.Global("collections", "OrderedDict").Text(Command).Op('\x85').Op('R').Op('.'))
            .ShouldContain("unexpected arguments");
        Refuse(PickleBuilder.Empty.Global("torch._utils", "_rebuild_tensor_v2").Op(')').Op('R').Op('.'))
            .ShouldContain("unexpected arguments");
    }

    [Fact]
    public void Dotted_names_do_not_slip_through()
    {
        Refuse(PickleBuilder.Empty.Text("torch").Text("FloatStorage.__init__.__globals__").Op('\x93').Op('.'))
            .ShouldContain("was not executed");
        Refuse(PickleBuilder.Empty.Text("torch._utils._rebuild_tensor_v2").Text("__globals__").Op('\x93').Op('.'))
            .ShouldContain("was not executed");
    }

    [Fact]
    public void Extension_registry()
    {
        foreach (char opcode in "\x82\x83\x84")
        {
            Refuse(PickleBuilder.Empty.Op(opcode, 1, 0, 0, 0).Op('.')).ShouldContain("nothing was executed");
        }
    }

    [Fact]
    public void Persistent_ids_are_storages_only()
    {
        Refuse(PickleBuilder.Empty.Text("module").Text(Command).Op('\x86').Op('Q').Op('.'))
            .ShouldContain("of kind 'module' is not a plain storage; it was not loaded");
        Refuse(PickleBuilder.Empty.Text(Command).Op('Q').Op('.')).ShouldContain("expected a storage's description");
        Refuse(PickleBuilder.Empty.Op('P', Encoding.UTF8.GetBytes(Command + "\n")).Op('.')).ShouldContain("PersistentId");
        Refuse(PickleBuilder.Empty.Op('(').Text("storage").Global("torch", "FloatStorage").Text("../../etc/passwd").Text("cpu").Integer(-1)
            .Op('t').Op('Q').Op('.'))
            .ShouldContain("not a plain storage");
        Refuse(PickleBuilder.Empty.Op('(').Storage("FloatStorage", "0", 6).Storage("DoubleStorage", "0", 6).Op('t').Op('.'))
            .ShouldContain("storage '0' is described in two ways");
    }

    [Fact]
    public void Names_are_made_fit_for_a_terminal() =>
        Refuse(PickleBuilder.Empty.Text("\x1b[2J" + new string('x', 10_000)).Text("y").Op('\x93').Op('.'))
            .ShouldContain($"'\uFFFD[2J{new string('x', 96)}….y'");

    [Theory]
    [InlineData('X', new byte[] { 0xff, 0xff, 0xff, 0xff }, "4294967295 bytes are declared")]
    [InlineData('\x8d', new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, "18446744073709551615 bytes are declared")]
    [InlineData('\x8e', new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f }, "9223372036854775807 bytes are declared")]
    [InlineData('T', new byte[] { 0xff, 0xff, 0xff, 0x7f }, "2147483647 bytes are declared")]
    [InlineData('B', new byte[] { 0xff, 0xff, 0xff, 0x7f }, "2147483647 bytes are declared")]
    [InlineData('\x8b', new byte[] { 0xff, 0xff, 0xff, 0x7f }, "instruction Long4 does not occur")]
    [InlineData('\x8a', new byte[] { 9, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, "an integer of 9 bytes")]
    [InlineData('\x96', new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f }, "instruction ByteArray8 does not occur")]
    [InlineData('I', new byte[] { (byte)'9', (byte)'\n' }, "instruction Int does not occur")]
    [InlineData('\xff', new byte[] { }, "byte 0xff is no instruction")]
    [InlineData('h', new byte[] { 7 }, "memo 7 was never set")]
    [InlineData('0', new byte[] { }, "the stack is empty")]
    [InlineData('t', new byte[] { }, "there is no mark")]
    [InlineData('u', new byte[] { }, "there is no mark")]
    [InlineData('\x87', new byte[] { }, "the stack is empty")]
    [InlineData('.', new byte[] { }, "unfinished stack")]
    [InlineData('\x80', new byte[] { 9 }, "protocol 9 is newer than 5")]
    [InlineData('c', new byte[] { (byte)'o', (byte)'s' }, "a name does not end")]
    public void A_malformed_instruction_is_explained(char opcode, byte[] operand, string expected) =>
        Refuse(PickleBuilder.Empty.Op(opcode, operand)).ShouldContain(expected);

    [Fact]
    public void A_mark_protects_what_lies_below() =>
        Refuse(PickleBuilder.Empty.Op('}').Op('(').Op('0').Op('.')).ShouldContain("the stack is empty");

    [Fact]
    public void Endless_instructions_run_out_of_budget() =>
        Refuse(PickleBuilder.Empty.Repeat(4_000_001, pickle => pickle.Op('N'))).ShouldContain("takes more than 4000000 steps");

    [Fact]
    public void Copying_one_list_again_and_again_runs_out_of_budget()
    {
        // 1,000 pairs copied by each of 10,000 calls.
        PickleBuilder pickle = PickleBuilder.Empty.Op(']').Op('(').Repeat(1000, item => item.Op(')').Op(')').Op('\x86')).Op('e').Op('q', 0)
            .Op('(').Repeat(10_000, call => call.Global("collections", "OrderedDict").Op('h', 0).Op('\x85').Op('R'));

        Refuse(pickle).ShouldContain("takes more than 4000000 steps");
    }

    [Theory]
    [InlineData(15, "more than 1000000 values")]
    [InlineData(60, "nested more than 16 deep")]
    public void Doubling_dicts_are_not_unfolded(int levels, string expected)
    {
        // Each dict holds the one before four times: 4^levels values from a few hundred bytes.
        PickleBuilder pickle = PickleBuilder.Empty.Op('}').Op('q', 0).Op('0');
        pickle.Repeat(levels, level => level.Op('}').Repeat(4, item => item.Text("a").Op('h', 0).Op('s')).Op('q', 0).Op('0'));

        Refuse(pickle.Op('h', 0).Op('.')).ShouldContain(expected);
    }

    [Fact]
    public void A_dict_that_contains_itself_is_refused() =>
        Refuse(PickleBuilder.Empty.Op('}').Op('q', 0).Text("a").Op('h', 0).Op('s').Op('.')).ShouldContain("nested more than 16 deep");

    [Fact]
    public void Deep_lists_do_not_recurse() =>
        Refuse(PickleBuilder.Empty.Repeat(500_000, list => list.Op(']')).Repeat(499_999, list => list.Op('a')).Op('.'))
            .ShouldContain("found something other than a dict");

    [Fact]
    public void One_long_key_for_many_tensors_is_refused()
    {
        PickleBuilder pickle = PickleBuilder.Empty.Op('}').Text(new string('x', 1_000_000)).Op('q', 0)
            .Global("torch._utils", "_rebuild_tensor_v2").Op('(').Storage("FloatStorage", "0", 1).Integer(0).Op(')').Op(')').Op('t').Op('R')
                .Op('q', 1).Op('s')
            .Repeat(100_000, item => item.Op('h', 0).Op('h', 1).Op('s')).Op('.');

        Refuse(pickle).ShouldContain("a tensor's name is longer than 1024 characters");
    }

    [Fact]
    public void A_tensor_of_a_thousand_dimensions_is_refused()
    {
        long[] ones = Enumerable.Repeat(1L, 1000).ToArray();
        Refuse(PickleBuilder.StateDictionary(shape: ones, strides: ones)).ShouldContain("more than 64 dimensions");
    }

    [Fact]
    public void Every_instruction_in_every_place_ends_in_a_typed_error_or_a_result()
    {
        var random = new Random(11);
        byte[] valid = PickleBuilder.StateDictionary().ToArray();
        for (int run = 0; run < 20_000; run++)
        {
            byte[] code = valid.ToArray();
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                code[random.Next(code.Length)] = (byte)random.Next(256);
            }

            try
            {
                new PickleMachine("model.pth", code).Run();
            }
            catch (FileFormatException)
            {
            }
        }

        File.Exists(Marker).ShouldBeFalse();
    }

    private string Refuse(PickleBuilder pickle)
    {
        string legacy = Should.Throw<FileFormatException>(() => TensorArchive.Open(pickle.ToLegacy(_folder)).Dispose()).Message;
        Should.Throw<FileFormatException>(() => TensorArchive.Open(pickle.ToZip(_folder)).Dispose());
        File.Exists(Marker).ShouldBeFalse();
        return legacy;
    }
}
