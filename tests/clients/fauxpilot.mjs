// What the FauxPilot plugin for VS Code does: OpenAI's client of the 3.x line, its configuration, its request.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../labextension/package.json', import.meta.url));
const { Configuration, OpenAIApi } = require('openai3');

const [server, key] = process.argv.slice(2);
const api = new OpenAIApi(new Configuration({ apiKey: key }), `${server}/v1/engines/codegen`);
const { data } = await api.createCompletion({
  model: '<<UNSET>>',
  prompt: '# Path: shapes.py\nimport math\n\ndef area(r):\n    return ',
  max_tokens: 12,
  temperature: 0,
  stop: ['\n\n']
});
console.log(JSON.stringify(data));
