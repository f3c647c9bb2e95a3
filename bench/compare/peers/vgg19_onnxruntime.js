// VGG19 up to fc2 in ONNX Runtime, as a peer of `bench compare vgg` (protocol: see Peer.cs).
//
//     vgg19_onnxruntime.js WORK THREADS
//
// WORK holds vgg19.onnx and frames.f32 (normalised, NCHW), both written by vgg19_torch.py.
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const ort = require("onnxruntime-node");

const IMAGE = 3 * 224 * 224;

async function main() {
  const [work, threads] = process.argv.slice(2);
  const session = await ort.InferenceSession.create(path.join(work, "vgg19.onnx"), {
    intraOpNumThreads: Number(threads), graphOptimizationLevel: "all", executionProviders: ["cpu"],
  });
  const bytes = fs.readFileSync(path.join(work, "frames.f32"));
  const frames = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const run = async (n) => (await session.run({ frames: new ort.Tensor("float32", frames.subarray(0, n * IMAGE), [n, 3, 224, 224]) })).features;
  await run(2);
  console.log(`@ready ONNX Runtime ${ort.env.versions.node}`);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [command, n, file] = line.split(" ");
    const began = process.hrtime.bigint();
    const features = await run(Number(n));
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    if (command === "save") {
      fs.writeFileSync(file, Buffer.from(features.data.buffer, features.data.byteOffset, features.data.byteLength));
    }
    console.log(`@done ${seconds}`);
  }
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
