namespace CudaTrainer.Synthetic;

/// <summary>What the fights share: guard, blows at irregular times, and what a blow does to the one who takes it.</summary>
internal abstract class Fight : Activity
{
    public override bool IsViolent => true;

    /// <param name="Time">When it lands.</param>
    /// <param name="BySecond">Who strikes.</param>
    /// <param name="WithLeft">Which fist or foot.</param>
    /// <param name="IsKick">Foot rather than fist.</param>
    protected readonly record struct Blow(float Time, bool BySecond, bool WithLeft, bool IsKick);

    protected static Blow[] Blows(float start, float end, float gap, float kicks, float bySecond, ref Draws random)
    {
        var blows = new List<Blow>();
        for (float time = start + random.Between(0, gap); time < end + 0.3f; time += gap * random.Between(0.7f, 1.4f))
        {
            blows.Add(new Blow(time, random.Chance(bySecond), random.Chance(0.5f), random.Chance(kicks)));
        }

        return [.. blows];
    }

    /// <summary>0 at rest, 1 when the blow lands; quick out, slower back.</summary>
    protected static float Thrust(float sinceImpact) =>
        sinceImpact < 0.06f ? Ease(sinceImpact, -0.14f, -0.01f) : 1 - Ease(sinceImpact, 0.06f, 0.3f);

    /// <summary>0 until the blow lands, then a jerk that fades.</summary>
    protected static float Recoil(float sinceImpact) =>
        sinceImpact < -0.03f ? 0 : Ease(sinceImpact, -0.03f, 0.07f) * (1 - Ease(sinceImpact, 0.12f, 0.5f));

    protected static Pose Guard(float x, int facing, float bounce) => new()
    {
        X = x,
        Facing = facing,
        Lean = 12 + (4 * bounce),
        Head = 8,
        LeftArm = new(55 + (8 * bounce), 95),
        RightArm = new(38 - (6 * bounce), 112),
        LeftLeg = new(30 + (5 * bounce), 24),
        RightLeg = new(-26 + (4 * bounce), 22),
        Lift = 0.012f * MathF.Max(0, bounce),
        HalfWidth = 0.035f,
    };

    protected static Pose Strike(Pose pose, Blow blow, float share)
    {
        if (share <= 0)
        {
            return pose;
        }

        Pose target;
        if (blow.IsKick)
        {
            target = pose with
            {
                Lean = -28,
                Head = -5,
                LeftArm = new(70, 50),
                RightArm = new(-60, 30),
                LeftLeg = blow.WithLeft ? new(104, 4) : new(-8, 14),
                RightLeg = blow.WithLeft ? new(-8, 14) : new(104, 4),
                X = pose.X + (0.06f * pose.Facing),
            };
        }
        else
        {
            target = pose with
            {
                Lean = 24,
                LeftArm = blow.WithLeft ? new(97, 0) : new(35, 120),
                RightArm = blow.WithLeft ? new(20, 125) : new(97, 0),
                LeftLeg = new(38, 30),
                RightLeg = new(-34, 8),
                X = pose.X + (0.09f * pose.Facing),
            };
        }

        return Pose.Mix(pose, target, share);
    }

    protected static Pose Stagger(Pose pose, float share) => share <= 0 ? pose : Pose.Mix(
        pose,
        pose with
        {
            Lean = -34,
            Head = -32,
            LeftArm = new(120, 25),
            RightArm = new(-75, 20),
            LeftLeg = new(34, 12),
            RightLeg = new(-34, 34),
            X = pose.X - (0.14f * pose.Facing),
        },
        share);

    /// <summary>On the back, curled up, arms before the face.</summary>
    protected static Pose Down(float x, int facing, float jerk, float wriggle) => new()
    {
        X = x,
        Facing = facing,
        Tilt = -86 + (10 * jerk),
        Lean = 16 + (22 * jerk),
        Head = 22,
        LeftArm = new(105 + (25 * wriggle), 85),
        RightArm = new(70 - (20 * wriggle), 105),
        LeftLeg = new(48 + (30 * jerk) + (20 * wriggle), 78 + (20 * wriggle)),
        RightLeg = new(22 + (40 * jerk) - (16 * wriggle), 52 - (22 * wriggle)),
        HalfWidth = 0.03f,
    };

    protected static (Pose First, Pose Second) Exchange(Pose first, Pose second, ReadOnlySpan<Blow> blows, float seconds)
    {
        foreach (Blow blow in blows)
        {
            float since = seconds - blow.Time;
            float thrust = Thrust(since);
            float recoil = Recoil(since);
            if (blow.BySecond)
            {
                second = Strike(second, blow, thrust);
                first = Stagger(first, recoil);
            }
            else
            {
                first = Strike(first, blow, thrust);
                second = Stagger(second, recoil);
            }
        }

        return (first, second);
    }

    /// <summary>The end of most fights: the first goes down, the second steps up and kicks on.</summary>
    /// <param name="first">Who falls, as he stood.</param>
    /// <param name="second">Who stays up.</param>
    /// <param name="since">Seconds since the blow that felled him; nothing changes before.</param>
    /// <param name="kicks">What follows, in the clip's time.</param>
    /// <param name="seconds">The clip's time.</param>
    /// <param name="wriggle">How the fallen moves, −1 to 1.</param>
    protected static (Pose First, Pose Second) KnockDown(
        Pose first, Pose second, float since, ReadOnlySpan<Blow> kicks, float seconds, float wriggle)
    {
        if (since <= 0)
        {
            return (first, second);
        }

        float landing = Math.Clamp(first.X - (0.3f * first.Facing), -0.36f, 0.36f); // all of him stays in the picture
        first = Pose.Mix(Stagger(first, Ease(since, 0, 0.1f)), Down(landing, first.Facing, 0, wriggle), Ease(since, 0.06f, 0.46f));
        Pose stance = Guard(landing - (0.55f * second.Facing), second.Facing, wriggle);
        second = Pose.Mix(second, stance, Ease(since, 0.15f, 0.6f));
        return Trample(first, second, kicks, seconds);
    }

    /// <summary>Low kicks into somebody on the ground.</summary>
    protected static (Pose First, Pose Second) Trample(Pose victim, Pose attacker, ReadOnlySpan<Blow> kicks, float seconds)
    {
        foreach (Blow kick in kicks)
        {
            float since = seconds - kick.Time;
            float windUp = Ease(since, -0.32f, -0.16f) * (1 - Ease(since, -0.14f, -0.02f));
            var leg = Pose.Limb.Mix(attacker.LeftLeg, new(-46, 62), windUp);
            leg = Pose.Limb.Mix(leg, kick.WithLeft ? new(58, 2) : new(76, 66), Thrust(since));
            float share = MathF.Max(windUp, Thrust(since));
            attacker = attacker with
            {
                LeftLeg = leg,
                RightLeg = Pose.Limb.Mix(attacker.RightLeg, new(-14, 18), share),
                Lean = attacker.Lean + ((-14 - attacker.Lean) * Thrust(since)),
                LeftArm = Pose.Limb.Mix(attacker.LeftArm, new(-55, 25), share),
                RightArm = Pose.Limb.Mix(attacker.RightArm, new(75, 45), share),
            };
            float jerk = Recoil(since);
            victim = Pose.Mix(victim, Down(victim.X - (0.05f * jerk), victim.Facing, 1, 0), 0.7f * jerk);
        }

        return (victim, attacker);
    }
}

/// <summary>Fists, and now and then a foot, until one goes down.</summary>
internal class FistFight : Fight
{
    private readonly Blow[] _blows;
    private readonly Blow[] _kicks;
    private readonly float _knockDown;
    private readonly Wander _place;
    private readonly Wander _distance;
    private readonly Wander _bounce1;
    private readonly Wander _bounce2;
    private readonly float _reach;

    public FistFight(float duration, ref Draws random)
        : this(duration, 0.1f, 0.52f, ref random)
    {
    }

    protected FistFight(float duration, float kicks, float reach, ref Draws random)
    {
        _knockDown = duration * random.Between(0.35f, 0.6f);
        _blows = [.. Blows(0, duration, 0.34f, kicks, 0.55f, ref random).Where(blow => blow.Time < _knockDown - 0.1f),
            new Blow(_knockDown, BySecond: true, WithLeft: random.Chance(0.5f), IsKick: random.Chance(kicks))];
        _kicks = Blows(_knockDown + 0.8f, duration, 0.42f, 1, 1, ref random);
        _place = new Wander(ref random, 0.7f);
        _distance = new Wander(ref random, 1.1f);
        _bounce1 = new Wander(ref random, 2.4f);
        _bounce2 = new Wander(ref random, 2.4f);
        _reach = reach;
    }

    public override string Name => "fistfight";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float until = MathF.Min(seconds, _knockDown + 0.2f);
        float middle = 0.08f + (0.14f * _place.At(until));
        float half = (_reach + (0.07f * _distance.At(until))) / 2;
        (Pose first, Pose second) = Exchange(
            Guard(middle - half, 1, _bounce1.At(seconds)),
            Guard(middle + half, -1, _bounce2.At(seconds)),
            _blows,
            seconds);
        return KnockDown(first, second, seconds - _knockDown, _kicks, seconds, _bounce1.At(0.6f * seconds));
    }
}

internal sealed class Kicking(float duration, ref Draws random) : FistFight(duration, 0.8f, 0.6f, ref random)
{
    public override string Name => "kicking";
}

/// <summary>One shoves the other, who falls and is then kicked where he lies.</summary>
internal sealed class PushAndFall : Fight
{
    private readonly float _shove;
    private readonly Blow[] _kicks;
    private readonly Wander _wriggle;
    private readonly Wander _step;

    public PushAndFall(float duration, ref Draws random)
    {
        _shove = duration * random.Between(0.12f, 0.25f);
        _kicks = Blows(_shove + 0.75f, duration, 0.42f, 1, 1, ref random);
        _wriggle = new Wander(ref random, 1.6f);
        _step = new Wander(ref random, 2.2f);
    }

    public override string Name => "push";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float since = seconds - _shove;
        Pose attacker = Guard(0.56f - (0.14f * Ease(since, -0.4f, 0)), -1, _step.At(seconds));
        Pose shove = attacker with
        {
            Lean = 34,
            LeftArm = new(88, 4),
            RightArm = new(80, 4),
            LeftLeg = new(44, 34),
            RightLeg = new(-38, 6),
        };
        attacker = Pose.Mix(attacker, shove, Thrust(since * 0.8f));
        attacker.X -= 0.2f * Ease(since, 0.2f, 0.75f);

        Pose upright = Stagger(Standing(0.07f, 1), Ease(since, -0.02f, 0.12f));
        Pose fallen = Down(-0.36f, 1, 0, _wriggle.At(seconds));
        var victim = Pose.Mix(upright, fallen, Ease(since, 0.05f, 0.5f));
        return Trample(victim, attacker, _kicks, seconds);
    }
}

internal sealed class BeatingOnTheGround : Fight
{
    private readonly Blow[] _kicks;
    private readonly Wander _wriggle;
    private readonly Wander _step;
    private readonly float _place;

    public BeatingOnTheGround(float duration, ref Draws random)
    {
        _kicks = Blows(0, duration, 0.44f, 1, 1, ref random);
        _wriggle = new Wander(ref random, 1.4f);
        _step = new Wander(ref random, 1.5f);
        _place = random.Between(-0.1f, 0.1f);
    }

    public override string Name => "beating";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float step = _step.At(seconds);
        Pose victim = Down(_place - 0.3f, 1, 0, _wriggle.At(seconds));
        Pose attacker = Guard(_place + 0.26f + (0.05f * step), -1, step);
        return Trample(victim, attacker, _kicks, seconds);
    }
}

/// <summary>One kneels over the other and strikes down with both fists.</summary>
internal sealed class GroundAndPound : Fight
{
    private readonly float _rate;
    private readonly float _phase;
    private readonly Wander _irregular;
    private readonly Wander _struggle;
    private readonly float _place;

    public GroundAndPound(ref Draws random)
    {
        _rate = random.Between(1.5f, 2.2f);
        _phase = random.Unit();
        _irregular = new Wander(ref random, 0.8f);
        _struggle = new Wander(ref random, 1.7f);
        _place = random.Between(-0.12f, 0.12f);
    }

    public override string Name => "pounding";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float beat = Sine((_rate * seconds) + _phase + (0.25f * _irregular.At(seconds)));
        float struggle = _struggle.At(seconds);
        Pose victim = Down(_place - 0.02f, 1, 0.25f * MathF.Max(0, -beat), struggle) with
        {
            LeftArm = new(95 + (35 * struggle), 40),
            RightArm = new(60 - (30 * struggle), 70),
            LeftLeg = new(40 + (30 * struggle), 85),
            RightLeg = new(15 - (25 * struggle), 40),
        };
        var attacker = new Pose
        {
            X = _place + 0.02f,
            Facing = -1,
            Lean = 38 - (12 * beat),
            Head = 15,
            LeftArm = Pose.Limb.Mix(new(30, 8), new(158, 62), 0.5f + (0.5f * beat)),
            RightArm = Pose.Limb.Mix(new(34, 8), new(150, 70), 0.5f - (0.5f * beat)),
            LeftLeg = new(52, 128),
            RightLeg = new(30, 118),
            HalfWidth = 0.04f,
            Lift = 0.07f,
        };
        return (victim, attacker);
    }
}

/// <summary>Both lean into each other, arms locked, dragging and kneeing, until one is thrown.</summary>
internal sealed class Grapple : Fight
{
    private readonly Wander _drag;
    private readonly Wander _push;
    private readonly Wander _legs;
    private readonly Wander _arms;
    private readonly float _kneeRate;
    private readonly float _kneePhase;
    private readonly float _throw;
    private readonly Blow[] _kicks;

    public Grapple(float duration, ref Draws random)
    {
        _throw = duration * random.Between(0.45f, 0.7f);
        _kicks = Blows(_throw + 0.8f, duration, 0.42f, 1, 1, ref random);
        _drag = new Wander(ref random, 0.8f);
        _push = new Wander(ref random, 1.2f);
        _legs = new Wander(ref random, 1.9f);
        _arms = new Wander(ref random, 1.6f);
        _kneeRate = random.Between(0.9f, 1.4f);
        _kneePhase = random.Unit();
    }

    public override string Name => "grapple";

    public override (Pose First, Pose Second) At(float seconds)
    {
        float drag = 0.05f + (0.2f * _drag.At(MathF.Min(seconds, _throw + 0.2f)));
        float push = _push.At(seconds);
        float legs = _legs.At(seconds);
        float knee = MathF.Max(0, Sine((_kneeRate * seconds) + _kneePhase));
        float arms = _arms.At(seconds);
        var first = new Pose
        {
            X = drag - 0.34f,
            Facing = 1,
            Lean = 46 + (14 * push),
            Head = 20,
            LeftArm = new(92 + (16 * arms), 20),
            RightArm = new(66 - (16 * arms), 42),
            LeftLeg = new(26 + (12 * legs), 42),
            RightLeg = new(-36 + (12 * legs), 14),
            HalfWidth = 0.035f,
        };
        var second = new Pose
        {
            X = drag + 0.34f,
            Facing = -1,
            Lean = 42 - (16 * push),
            Head = 16,
            LeftArm = new(84 - (14 * arms), 30),
            RightArm = new(104 + (14 * arms), 14),
            LeftLeg = Pose.Limb.Mix(new(24 - (12 * legs), 40), new(98, 108), knee * knee),
            RightLeg = new(-34 - (10 * legs), 12),
            HalfWidth = 0.035f,
        };
        return KnockDown(first, second, seconds - _throw, _kicks, seconds, _arms.At(0.6f * seconds));
    }
}
