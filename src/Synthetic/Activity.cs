namespace CudaTrainer.Synthetic;

/// <summary>What two people do during one clip: a pose for each of them at any time.</summary>
internal abstract class Activity
{
    /// <summary>Short name, part of the file name.</summary>
    public abstract string Name { get; }

    public abstract bool IsViolent { get; }

    /// <summary>Both poses at <paramref name="seconds"/> after the start; the second person is drawn in front.</summary>
    public abstract (Pose First, Pose Second) At(float seconds);

    /// <summary>A new activity of a class, for a clip of <paramref name="duration"/> seconds.</summary>
    public static Activity Choose(bool violent, int kind, float duration, ref Draws random) => (violent, kind % KindsPerClass) switch
    {
        (true, 0) => new FistFight(duration, ref random),
        (true, 1) => new Kicking(duration, ref random),
        (true, 2) => new PushAndFall(duration, ref random),
        (true, 3) => new BeatingOnTheGround(duration, ref random),
        (true, 4) => new GroundAndPound(ref random),
        (true, _) => new Grapple(duration, ref random),
        (false, 0) => new Walk(ref random),
        (false, 1) => new Talk(ref random),
        (false, 2) => new Handshake(duration, ref random),
        (false, 3) => new Hug(duration, ref random),
        (false, 4) => new Dance(ref random),
        (false, _) => new Greeting(duration, ref random),
    };

    public const int KindsPerClass = 6;

    /// <summary>0 to 1 while <paramref name="time"/> goes from <paramref name="start"/> to <paramref name="end"/>, smoothly.</summary>
    protected static float Ease(float time, float start, float end)
    {
        float share = Math.Clamp((time - start) / (end - start), 0, 1);
        return share * share * (3 - (2 * share));
    }

    protected static float Sine(float cycles) => MathF.Sin(2 * MathF.PI * cycles);

    protected static Pose Standing(float x, int facing) => new()
    {
        X = x,
        Facing = facing,
        LeftArm = new(6, 10),
        RightArm = new(-4, 12),
        LeftLeg = new(5, 4),
        RightLeg = new(-5, 3),
        HalfWidth = 0.045f,
    };

    /// <summary>Irregular motion between −1 and 1: a few sines whose rates do not fit together.</summary>
    protected readonly struct Wander(ref Draws random, float rate)
    {
        private readonly float _phase1 = random.Unit();
        private readonly float _phase2 = random.Unit();
        private readonly float _phase3 = random.Unit();
        private readonly float _rate = rate * random.Between(0.85f, 1.15f);

        public float At(float seconds) =>
            (0.5f * Sine((_rate * seconds) + _phase1)) + (0.3f * Sine((1.73f * _rate * seconds) + _phase2))
            + (0.2f * Sine((2.91f * _rate * seconds) + _phase3));
    }
}
