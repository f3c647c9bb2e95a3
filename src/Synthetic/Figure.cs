using System.Numerics;

namespace CudaTrainer.Synthetic;

/// <summary>How a person holds body and limbs. Angles in degrees; a limb at 0 hangs straight down, at 90 points where the
/// person faces, at 180 straight up. Lengths in body heights.</summary>
internal record struct Pose
{
    /// <summary>Where the pelvis is, along the ground.</summary>
    public float X;

    /// <summary>Feet above the ground.</summary>
    public float Lift;

    /// <summary>1 faces right, −1 left.</summary>
    public int Facing;

    /// <summary>The whole body turned about the pelvis: 0 upright, −90 flat on the back.</summary>
    public float Tilt;

    /// <summary>The upper body bent forward.</summary>
    public float Lean;

    public float Head;
    public Limb LeftArm;
    public Limb RightArm;
    public Limb LeftLeg;
    public Limb RightLeg;

    /// <summary>Half the distance between the shoulders as seen: small from the side, large from the front.</summary>
    public float HalfWidth;

    /// <param name="Root">Shoulder or hip.</param>
    /// <param name="Bend">Elbow (forward) or knee (backward).</param>
    internal readonly record struct Limb(float Root, float Bend)
    {
        public static Limb Mix(Limb a, Limb b, float share) =>
            new(Interpolate.Mix(a.Root, b.Root, share), Interpolate.Mix(a.Bend, b.Bend, share));
    }

    /// <summary>Between two poses; the facing is the first one's.</summary>
    public static Pose Mix(Pose a, Pose b, float share)
    {
        float Between(float x, float y) => Interpolate.Mix(x, y, share);
        return a with
        {
            X = Between(a.X, b.X),
            Lift = Between(a.Lift, b.Lift),
            Tilt = Between(a.Tilt, b.Tilt),
            Lean = Between(a.Lean, b.Lean),
            Head = Between(a.Head, b.Head),
            LeftArm = Limb.Mix(a.LeftArm, b.LeftArm, share),
            RightArm = Limb.Mix(a.RightArm, b.RightArm, share),
            LeftLeg = Limb.Mix(a.LeftLeg, b.LeftLeg, share),
            RightLeg = Limb.Mix(a.RightLeg, b.RightLeg, share),
            HalfWidth = Between(a.HalfWidth, b.HalfWidth),
        };
    }
}

/// <summary>Somebody's build and clothes.</summary>
/// <param name="Height">Body height in scene units (1 is usual).</param>
/// <param name="Girth">1 is usual.</param>
internal sealed record Figure(float Height, float Girth, Vector3 Shirt, Vector3 Trousers, Vector3 Skin, Vector3 Hair)
{
    private const float Torso = 0.29f, Neck = 0.115f, UpperArm = 0.165f, Forearm = 0.155f, Thigh = 0.245f, Shin = 0.235f,
        Foot = 0.06f;

    /// <summary>Draws the person with the lowest part of the body on the ground.</summary>
    /// <param name="canvas">Target.</param>
    /// <param name="pose">How the person stands.</param>
    /// <param name="ground">Pixel where scene coordinate 0 meets the ground.</param>
    /// <param name="scale">Pixels of one scene unit.</param>
    public void Draw(Canvas canvas, in Pose pose, Vector2 ground, float scale)
    {
        float size = scale * Height;
        var body = Joints.Of(pose);
        float lowest = body.Lowest(Girth);
        Vector2 origin = ground + new Vector2(pose.X * scale, -(lowest + pose.Lift) * size);
        Vector2 At(Vector2 joint) => origin + (joint * size);
        void Part(Vector2 from, Vector2 to, float radiusFrom, float radiusTo, Vector3 colour) =>
            canvas.Capsule(At(from), At(to), radiusFrom * Girth * size, radiusTo * Girth * size, colour);

        (float leftEnd, float rightEnd) = body.Extent();
        float middle = (leftEnd + rightEnd) / 2;
        canvas.Shadow(
            new Vector2(origin.X + (middle * size), ground.Y),
            new Vector2((((rightEnd - leftEnd) / 2) + 0.12f) * size, 0.06f * size),
            0.45f);

        void Arm(Vector2 shoulder, Vector2 elbow, Vector2 hand, float light)
        {
            Part(shoulder, elbow, 0.042f, 0.036f, Shirt * light);
            Part(elbow, hand, 0.033f, 0.027f, Skin * light);
            Part(hand, hand, 0.036f, 0.036f, Skin * light);
        }

        void Leg(Vector2 hip, Vector2 knee, Vector2 ankle, Vector2 toe, float light)
        {
            Part(hip, knee, 0.058f, 0.046f, Trousers * light);
            Part(knee, ankle, 0.045f, 0.034f, Trousers * light);
            Part(ankle, toe, 0.034f, 0.028f, Hair * 0.6f * light);
        }

        // Far limbs first, a little darker.
        Arm(body.LeftShoulder, body.LeftElbow, body.LeftHand, 0.75f);
        Leg(body.LeftHip, body.LeftKnee, body.LeftAnkle, body.LeftToe, 0.75f);
        Leg(body.RightHip, body.RightKnee, body.RightAnkle, body.RightToe, 1);
        Vector2 chest = Interpolate.Mix(body.Pelvis, body.Chest, 0.85f);
        var side = new Vector2(pose.HalfWidth * 0.6f, 0);
        Part(body.Pelvis - (side * 0.6f), chest - side, 0.062f, 0.072f, Shirt * 0.95f);
        Part(body.Pelvis + (side * 0.6f), chest + side, 0.062f, 0.072f, Shirt);
        Part(body.Chest, body.HeadCentre, 0.032f, 0.032f, Skin * 0.85f);
        Part(body.HeadCentre, body.HeadCentre, 0.074f, 0.074f, Hair);
        Vector2 face = body.HeadCentre + (new Vector2(body.FaceDirection.X, body.FaceDirection.Y) * 0.018f);
        Part(face, face, 0.06f, 0.06f, Skin);
        Arm(body.RightShoulder, body.RightElbow, body.RightHand, 1);
    }

    /// <summary>Positions relative to the pelvis, in body heights, y downwards.</summary>
    private readonly record struct Joints(
        Vector2 Pelvis,
        Vector2 Chest,
        Vector2 HeadCentre,
        Vector2 FaceDirection,
        Vector2 LeftShoulder,
        Vector2 LeftElbow,
        Vector2 LeftHand,
        Vector2 RightShoulder,
        Vector2 RightElbow,
        Vector2 RightHand,
        Vector2 LeftHip,
        Vector2 LeftKnee,
        Vector2 LeftAnkle,
        Vector2 LeftToe,
        Vector2 RightHip,
        Vector2 RightKnee,
        Vector2 RightAnkle,
        Vector2 RightToe)
    {
        public static Joints Of(in Pose pose)
        {
            int facing = pose.Facing;
            Vector2 Towards(float degrees)
            {
                float angle = degrees * MathF.PI / 180;
                return new Vector2(facing * MathF.Sin(angle), MathF.Cos(angle));
            }

            float upright = 180 - pose.Tilt - pose.Lean;
            Vector2 chest = Towards(upright) * Torso;
            float headAngle = upright - pose.Head;
            Vector2 head = chest + (Towards(headAngle) * Neck);
            Vector2 across = Towards(upright - 90) * pose.HalfWidth;
            Vector2 leftShoulder = chest - across;
            Vector2 rightShoulder = chest + across;
            Vector2 hips = Towards(90 - pose.Tilt) * (pose.HalfWidth * 0.55f);
            float tilt = pose.Tilt;

            (Vector2 Elbow, Vector2 Hand) Arm(Vector2 shoulder, Pose.Limb arm)
            {
                Vector2 elbow = shoulder + (Towards(arm.Root - tilt) * UpperArm);
                return (elbow, elbow + (Towards(arm.Root + arm.Bend - tilt) * Forearm));
            }

            (Vector2 Knee, Vector2 Ankle, Vector2 Toe) Leg(Vector2 hip, Pose.Limb leg)
            {
                Vector2 knee = hip + (Towards(leg.Root - tilt) * Thigh);
                float shin = leg.Root - leg.Bend - tilt;
                Vector2 ankle = knee + (Towards(shin) * Shin);
                return (knee, ankle, ankle + (Towards(shin + 80) * Foot));
            }

            (Vector2 leftElbow, Vector2 leftHand) = Arm(leftShoulder, pose.LeftArm);
            (Vector2 rightElbow, Vector2 rightHand) = Arm(rightShoulder, pose.RightArm);
            (Vector2 leftKnee, Vector2 leftAnkle, Vector2 leftToe) = Leg(-hips, pose.LeftLeg);
            (Vector2 rightKnee, Vector2 rightAnkle, Vector2 rightToe) = Leg(hips, pose.RightLeg);
            return new Joints(
                Vector2.Zero, chest, head, Towards(headAngle - 90), leftShoulder, leftElbow, leftHand, rightShoulder, rightElbow,
                rightHand, -hips, leftKnee, leftAnkle, leftToe, hips, rightKnee, rightAnkle, rightToe);
        }

        /// <summary>How far the body reaches below the pelvis.</summary>
        public float Lowest(float girth)
        {
            float feet = MathF.Max(MathF.Max(LeftAnkle.Y, RightAnkle.Y), MathF.Max(LeftToe.Y, RightToe.Y)) + (0.034f * girth);
            float knees = MathF.Max(LeftKnee.Y, RightKnee.Y) + (0.046f * girth);
            float trunk = MathF.Max(Pelvis.Y, Chest.Y) + (0.07f * girth);
            float head = HeadCentre.Y + (0.074f * girth);
            return MathF.Max(MathF.Max(feet, knees), MathF.Max(trunk, head));
        }

        public (float Left, float Right) Extent()
        {
            float left = MathF.Min(MathF.Min(LeftAnkle.X, RightAnkle.X), MathF.Min(Chest.X, HeadCentre.X));
            float right = MathF.Max(MathF.Max(LeftAnkle.X, RightAnkle.X), MathF.Max(Chest.X, HeadCentre.X));
            return (left, right);
        }
    }
}
