namespace CudaTrainer.Synthetic;

internal abstract class Pastime : Activity
{
    public override bool IsViolent => false;

    /// <param name="cycles">Double steps since the start.</param>
    protected static Pose Walking(float x, int facing, float cycles)
    {
        float swing = Sine(cycles);
        return new Pose
        {
            X = x,
            Facing = facing,
            Lean = 3,
            LeftArm = new(-24 * swing, 18),
            RightArm = new(24 * swing, 18),
            LeftLeg = new(25 * swing, 6 + (34 * MathF.Max(0, Sine(cycles + 0.2f)))),
            RightLeg = new(-25 * swing, 6 + (34 * MathF.Max(0, Sine(cycles + 0.7f)))),
            HalfWidth = 0.03f,
        };
    }

    /// <summary>Breathing and shifting weight.</summary>
    protected static Pose Idle(Pose pose, float sway) => pose with
    {
        Lean = pose.Lean + (2 * sway),
        Head = pose.Head + (4 * sway),
        X = pose.X + (0.012f * sway),
    };
}

/// <summary>Side by side, or towards and past each other.</summary>
internal sealed class Walk : Pastime
{
    private readonly float _speed;
    private readonly float _rate;
    private readonly float _phase;
    private readonly int _direction;
    private readonly bool _together;
    private readonly float _gap;

    public Walk(ref Draws random)
    {
        _speed = random.Between(0.16f, 0.26f);
        _rate = _speed * 3.4f;
        _phase = random.Unit();
        _direction = random.Sign();
        _together = random.Chance(0.6f);
        _gap = random.Between(0.4f, 0.6f);
    }

    public override string Name => "walk";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float way = _speed * (seconds - 1.1f);
        float cycles = (_rate * seconds) + _phase;
        return _together
            ? (Walking((_direction * way) - (_gap / 2), _direction, cycles + 0.4f),
                Walking((_direction * way) + (_gap / 2), _direction, cycles))
            : (Walking(way * 1.1f, 1, cycles + 0.3f), Walking(-way * 1.1f, -1, cycles));
    }
}

internal sealed class Talk : Pastime
{
    private readonly float _gap;
    private readonly Wander _sway1;
    private readonly Wander _sway2;
    private readonly Wander _gesture1;
    private readonly Wander _gesture2;

    public Talk(ref Draws random)
    {
        _gap = random.Between(0.6f, 0.95f);
        _sway1 = new Wander(ref random, 0.3f);
        _sway2 = new Wander(ref random, 0.3f);
        _gesture1 = new Wander(ref random, 0.6f);
        _gesture2 = new Wander(ref random, 0.5f);
    }

    public override string Name => "talk";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float gesture1 = _gesture1.At(seconds);
        float gesture2 = _gesture2.At(seconds);
        Pose first = Idle(Standing(-_gap / 2, 1), _sway1.At(seconds)) with
        {
            RightArm = new(14 + (10 * gesture1), 62 + (26 * gesture1)),
        };
        Pose second = Idle(Standing(_gap / 2, -1), _sway2.At(seconds)) with
        {
            LeftArm = new(8 + (8 * gesture2), 40 + (24 * gesture2)),
        };
        return (first, second);
    }
}

internal sealed class Handshake : Pastime
{
    private readonly float _start;
    private readonly float _end;
    private readonly float _phase;
    private readonly Wander _sway;

    public Handshake(float duration, ref Draws random)
    {
        _start = duration * random.Between(0.1f, 0.25f);
        _end = duration * random.Between(0.8f, 1.2f);
        _phase = random.Unit();
        _sway = new Wander(ref random, 0.3f);
    }

    public override string Name => "handshake";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float reach = Ease(seconds, _start - 0.35f, _start) * (1 - Ease(seconds, _end, _end + 0.35f));
        float pump = 5 * reach * Sine((1.6f * seconds) + _phase);
        float sway = _sway.At(seconds);
        float half = 0.31f + (0.03f * (1 - reach));
        var arm = Pose.Limb.Mix(new(-4, 12), new(44 + pump, 26), reach);
        return (Idle(Standing(-half, 1), sway) with { RightArm = arm }, Idle(Standing(half, -1), -sway) with { RightArm = arm });
    }
}

internal sealed class Hug : Pastime
{
    private readonly float _start;
    private readonly Wander _sway;
    private readonly float _phase;

    public Hug(float duration, ref Draws random)
    {
        _start = duration * random.Between(0.1f, 0.3f);
        _sway = new Wander(ref random, 0.35f);
        _phase = random.Unit();
    }

    public override string Name => "hug";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float close = Ease(seconds, _start - 0.7f, _start + 0.1f);
        float embrace = Ease(seconds, _start - 0.3f, _start + 0.2f);
        float sway = _sway.At(seconds);
        float half = 0.36f - (0.26f * close);
        float shift = 0.03f * sway * close;
        float cycles = (0.9f * seconds) + _phase;
        var first = Pose.Mix(Walking(shift - half, 1, cycles), Standing(shift - half, 1), close);
        var second = Pose.Mix(Walking(shift + half, -1, cycles + 0.3f), Standing(shift + half, -1), close);
        first = first with
        {
            Lean = first.Lean + (4 * embrace) + (2 * sway),
            LeftArm = Pose.Limb.Mix(first.LeftArm, new(74, 30), embrace),
            RightArm = Pose.Limb.Mix(first.RightArm, new(46, 48), embrace),
        };
        second = second with
        {
            Lean = second.Lean + (4 * embrace) - (2 * sway),
            LeftArm = Pose.Limb.Mix(second.LeftArm, new(58, 40), embrace),
            RightArm = Pose.Limb.Mix(second.RightArm, new(78, 26), embrace),
        };
        return (first, second);
    }
}

/// <summary>In step with a beat, side by side, seen from the front.</summary>
internal sealed class Dance : Pastime
{
    private readonly float _beat;
    private readonly float _phase;
    private readonly float _gap;
    private readonly float _arms;
    private readonly bool _mirrored;

    public Dance(ref Draws random)
    {
        _beat = random.Between(0.8f, 1.1f);
        _phase = random.Unit();
        _gap = random.Between(0.66f, 0.8f);
        _arms = random.Between(105, 150);
        _mirrored = random.Chance(0.5f);
    }

    public override string Name => "dance";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float cycles = (_beat * seconds) + _phase;
        return (Dancer(-_gap / 2, 1, cycles), Dancer(_gap / 2, _mirrored ? -1 : 1, cycles));
    }

    private Pose Dancer(float x, int facing, float cycles)
    {
        float side = Sine(cycles);
        float dip = 0.5f + (0.5f * Sine((2 * cycles) + 0.25f));
        return new Pose
        {
            X = x + (0.045f * side * facing),
            Facing = facing,
            Lean = 6 * side,
            Head = -5 * side,
            LeftArm = new(-_arms - (18 * side), -28 - (14 * side)),
            RightArm = new(_arms - (18 * side), 28 - (14 * side)),
            LeftLeg = new(-9 - (8 * dip), -12 * dip),
            RightLeg = new(9 + (8 * dip), 12 * dip),
            HalfWidth = 0.085f,
        };
    }
}

/// <summary>One walks up and waves; the other waves back.</summary>
internal sealed class Greeting : Pastime
{
    private readonly float _arrival;
    private readonly float _phase;
    private readonly Wander _sway;
    private readonly float _gap;

    public Greeting(float duration, ref Draws random)
    {
        _arrival = duration * random.Between(0.4f, 0.7f);
        _phase = random.Unit();
        _sway = new Wander(ref random, 0.3f);
        _gap = random.Between(0.6f, 0.8f);
    }

    public override string Name => "greeting";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float wave = 16 * Sine((1.5f * seconds) + _phase);
        float arrived = Ease(seconds, _arrival - 0.5f, _arrival);
        float x = (-_gap / 2) - (0.2f * MathF.Max(0, _arrival - seconds));
        Pose first = Pose.Mix(Walking(x, 1, (0.85f * seconds) + _phase), Standing(x, 1), arrived) with
        {
            RightArm = Pose.Limb.Mix(new(-4, 14), new(150, 20 + wave), Ease(seconds, 0, 0.3f)),
        };
        Pose second = Idle(Standing(_gap / 2, -1), _sway.At(seconds)) with
        {
            RightArm = Pose.Limb.Mix(new(-4, 14), new(142, 26 - wave), Ease(seconds, 0.3f, 0.6f)),
        };
        return (first, second);
    }
}
