// Runs an ONNX file on one input in ONNX Runtime:
//
//     node -e THIS -- MODEL INPUT TYPE SHAPE
//
// TYPE is float32 or uint8, SHAPE is lengths separated by commas; the input's bytes come on standard input. The answer is one line of JSON: {version, outputs}, {absent} where there is no
// ONNX Runtime, or {error} where it refuses the model.
async function main([model, input, type, shape]) {
  let ort;
  try {
    ort = require("onnxruntime-node");
  } catch (error) {
    return { absent: error.message.split("\n")[0] };
  }
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const bytes = new Uint8Array(Buffer.concat(chunks));
  try {
    const session = await ort.InferenceSession.create(model, { executionProviders: ["cpu"] });
    const values = type === "uint8" ? bytes : new Float32Array(bytes.buffer);
    const results = await session.run({ [input]: new ort.Tensor(type, values, shape.split(",").map(Number)) });
    const outputs = Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, { shape: tensor.dims, data: Array.from(tensor.data) }]));
    return { version: ort.env.versions.node, outputs };
  } catch (error) {
    return { error: error.message };
  }
}

main(process.argv.slice(1)).then((answer) => process.stdout.write(JSON.stringify(answer) + "\n", () => process.exit(0)));
