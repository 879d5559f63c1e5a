/**
 * A stand-in for Ollama: its protocol in front of llama.cpp's server, with the prompt cache of both. One request is
 * evaluated at a time, as in Ollama by default; a client that disconnects cancels its request. The context is that of
 * the model: Ollama's default of 4096 tokens would cut long notebooks.
 */

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { freePort } from '../../../labextension/ui-tests/lab.mjs';

const MODEL = 'qwen2.5-coder'; // Notebook Intelligence accepts only some names
// Ollama's defaults where they may differ from those of llama.cpp's server.
const DEFAULTS = {
  temperature: 0.8,
  top_k: 40,
  top_p: 0.9,
  min_p: 0,
  repeat_penalty: 1.1,
  num_predict: -1
};

const DETAILS = { model: MODEL, name: MODEL, details: { family: 'qwen2' } };

/** Yield the server-sent events of a streamed response from llama-server. */
async function* events(body) {
  let rest = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    yield* lines.filter(line => line.startsWith('data: {')).map(line => JSON.parse(line.slice(6)));
  }
}

/** Answer a request to generate text: raw, or with the model's chat template. */
async function generate(url, route, asked, answer) {
  const { num_predict: n_predict, num_ctx: _, ...options } = { ...DEFAULTS, ...asked.options };
  const messages = asked.messages ?? [{ role: 'user', content: asked.prompt }];
  const prompt = asked.raw ? { prompt: asked.prompt } : { messages };
  const gone = new AbortController();
  answer.on('close', () => gone.abort());
  const found = await fetch(`${url}${asked.raw ? '/completion' : '/v1/chat/completions'}`, {
    method: 'POST',
    body: JSON.stringify({
      ...options,
      ...prompt,
      n_predict,
      stream: true,
      cache_prompt: true
    }),
    signal: gone.signal
  });
  if (!found.ok) {
    throw new Error(await found.text());
  }
  const line = (content, done) => {
    const text = route === '/api/chat' ? { message: { role: 'assistant', content } } : { response: content };
    return `${JSON.stringify({ model: MODEL, ...text, done })}\n`;
  };
  let whole = '';
  for await (const event of events(found.body)) {
    const content = event.content ?? event.choices?.[0]?.delta?.content ?? '';
    whole += content;
    if (asked.stream !== false && content) {
      answer.write(line(content, false));
    }
  }
  answer.end(line(asked.stream === false ? whole : '', true));
}

/** Start both servers with a model, until this process exits; return the URL, and the process that evaluates. */
export async function startOllama(program, model) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(program, ['-m', model, '--port', `${port}`, '-c', '32768', '--parallel', '1'], {
    stdio: 'ignore'
  });
  child.unref();
  process.on('exit', () => child.kill());
  while (!(await fetch(`${url}/health`).catch(() => ({ ok: false }))).ok) {
    if (child.exitCode !== null) {
      throw new Error(`${program} did not start.`);
    }
    await new Promise(resolve => setTimeout(resolve, 200));
  }
  const server = createServer(async (request, answer) => {
    answer.setHeader('Content-Type', 'application/json');
    try {
      const asked = request.method === 'POST' ? JSON.parse(await text(request)) : {};
      if (request.url === '/api/generate' || request.url === '/api/chat') {
        await generate(url, request.url, asked, answer);
      } else if (request.url === '/api/tags') {
        answer.end(JSON.stringify({ models: [DETAILS] }));
      } else if (request.url === '/api/show') {
        const model_info = { 'general.architecture': 'qwen2', 'qwen2.context_length': 32768 };
        answer.end(JSON.stringify({ ...DETAILS, model_info, capabilities: ['completion'] }));
      } else {
        answer.writeHead(404).end('{}');
      }
    } catch (error) {
      if (error.name !== 'AbortError' && !child.killed) {
        console.error(error);
      }
      answer.destroy();
    }
  }).listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  server.unref();
  return { url: `http://127.0.0.1:${server.address().port}`, pid: child.pid, stop: () => child.kill() };
}
