using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Engine;

namespace CudaTrainer.Training.Parallel;

/// <summary>A rank in words that a person can act on.</summary>
/// <param name="Rank">From 0.</param>
/// <param name="Host">The machine's name.</param>
/// <param name="ProcessId">The process there.</param>
internal readonly record struct RankName(int Rank, string Host, int ProcessId)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"rank {Rank} (host {Host}, pid {ProcessId})");
}

/// <summary>What the other ranks must know to join rank 0, sent to them through MPI.</summary>
/// <param name="Name">Rank 0.</param>
/// <param name="Addresses">Where to try, in this order.</param>
/// <param name="Port">On which rank 0 listens.</param>
/// <param name="Token">Random; a connection that does not give it is a stranger's.</param>
internal sealed record HeartbeatInvitation(RankName Name, IReadOnlyList<string> Addresses, int Port, byte[] Token)
{
    /// <summary>Environment variable of rank 0 with the address under which the others reach it, <c>host</c> or <c>host:port</c>.</summary>
    public const string AddressVariable = "CUDATRAINER_LIFELINE_ADDRESS";

    private const int HelloBytes = (TokenBytes / 2) + (2 * sizeof(int));

    /// <summary>Half of it opens the door, half of it is the answer by which rank 0 is known.</summary>
    private const int TokenBytes = 32;

    public ReadOnlySpan<byte> WelcomeToken => Token.AsSpan(TokenBytes / 2);

    public static HeartbeatInvitation Create(RankName name, IReadOnlyList<string> addresses, int port) =>
        new(name, addresses, port, RandomNumberGenerator.GetBytes(TokenBytes));

    /// <summary>Sends rank 0's invitation to all ranks.</summary>
    /// <param name="world">The processes.</param>
    /// <param name="invitation">Given on rank 0, null elsewhere.</param>
    public static HeartbeatInvitation Broadcast(MpiWorld world, HeartbeatInvitation? invitation)
    {
        byte[] bytes = invitation?.Encode() ?? [];
        byte[] length = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        world.Broadcast(length, 0);
        if (invitation is null)
        {
            bytes = new byte[BinaryPrimitives.ReadInt32LittleEndian(length)];
        }

        world.Broadcast(bytes, 0);
        return invitation ?? Decode(bytes);
    }

    /// <summary>
    /// The addresses of this machine's networks, then those by which only the machine reaches itself: another machine may have something
    /// else there, which the token finds out.
    /// </summary>
    public static IReadOnlyList<string> OwnAddresses() =>
    [
        .. NetworkInterface.GetAllNetworkInterfaces()
            .Where(network => network.OperationalStatus == OperationalStatus.Up || network.NetworkInterfaceType == NetworkInterfaceType.Loopback)
            .SelectMany(network => network.GetIPProperties().UnicastAddresses)
            .Select(unicast => unicast.Address)
            .Where(address => !address.IsIPv6LinkLocal)
            .OrderBy(IPAddress.IsLoopback)
            .ThenBy(address => address.AddressFamily == AddressFamily.InterNetworkV6)
            .Select(address => address.ToString())
            .Append(IPAddress.Loopback.ToString())
            .Distinct(),
    ];

    /// <summary>Takes apart <c>host</c>, <c>host:port</c>, <c>[IPv6]</c> or <c>[IPv6]:port</c>.</summary>
    /// <returns>The port is 0 when none is given.</returns>
    /// <exception cref="RunException">Not of this form.</exception>
    public static (string Host, int Port) ParseAddress(string text)
    {
        bool bracketed = text.StartsWith('[');
        int end = bracketed ? text.IndexOf(']', StringComparison.Ordinal) + 1 : text.Count(letter => letter == ':') > 1 ? text.Length : text.IndexOf(':', StringComparison.Ordinal);
        end = end < 0 ? text.Length : end;
        string host = text[..end].Trim('[', ']'), rest = text[end..];
        int port = 0;
        bool valid = host.Length > 0 && (!bracketed || end > 0)
            && (rest.Length == 0 || (
                rest[0] == ':' && int.TryParse(rest.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out port)
                && port is > 0 and <= 65_535));
        return valid
            ? (host, port)
            : throw new RunException($"{AddressVariable} is '{text}', which is no address.",
            "Give host or host:port, with an IPv6 address in brackets.");
    }

    /// <summary>The first thing that a rank says: token, rank, process id, host.</summary>
    public byte[] WriteHello(RankName me)
    {
        byte[] host = Encoding.UTF8.GetBytes(me.Host);
        byte[] hello = new byte[HelloBytes + host.Length];
        Token.AsSpan(0, TokenBytes / 2).CopyTo(hello);
        BinaryPrimitives.WriteInt32LittleEndian(hello.AsSpan(TokenBytes / 2), me.Rank);
        BinaryPrimitives.WriteInt32LittleEndian(hello.AsSpan((TokenBytes / 2) + sizeof(int)), me.ProcessId);
        host.CopyTo(hello, HelloBytes);
        return hello;
    }

    /// <returns>False when the token is not this invitation's.</returns>
    public bool TryReadHello(ReadOnlySpan<byte> hello, out RankName name)
    {
        name = default;
        if (hello.Length < HelloBytes || !CryptographicOperations.FixedTimeEquals(hello[..(TokenBytes / 2)],
            Token.AsSpan(0, TokenBytes / 2)))
        {
            return false;
        }

        name = new RankName(
            BinaryPrimitives.ReadInt32LittleEndian(hello[(TokenBytes / 2)..]), Encoding.UTF8.GetString(hello[HelloBytes..]),
            BinaryPrimitives.ReadInt32LittleEndian(hello[((TokenBytes / 2) + sizeof(int))..]));
        return true;
    }

    public byte[] Encode() => Encoding.UTF8.GetBytes(string.Join('\n', [
        Convert.ToHexString(Token), Port.ToString(CultureInfo.InvariantCulture), Name.ProcessId.ToString(CultureInfo.InvariantCulture),
            Name.Host, .. Addresses]));

    public static HeartbeatInvitation Decode(ReadOnlySpan<byte> bytes)
    {
        string[] lines = Encoding.UTF8.GetString(bytes).Split('\n');
        var name = new RankName(0, lines[3], int.Parse(lines[2], CultureInfo.InvariantCulture));
        return new(name, lines[4..], int.Parse(lines[1], CultureInfo.InvariantCulture), Convert.FromHexString(lines[0]));
    }
}
