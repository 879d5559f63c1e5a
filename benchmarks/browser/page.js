/** Both engines in one page, behind the same two functions; what is measured is what the page waits for. */

import { Wllama, LoggerWithoutDebug } from '/wllama/esm/index.js';

const bytes = async path => (await fetch(path)).arrayBuffer();

class Ours {
  #worker = new Worker('/worker.js');
  #waiting = new Map();
  #id = 0;

  constructor() {
    this.#worker.onmessage = ({ data: { id, value, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      error ? reject(new Error(error)) : resolve(value);
    };
  }

  ask(message) {
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...message, id });
    });
  }

  async load() {
    await this.ask({ kind: 'load', wasm: await bytes('/engine.wasm'), model: await bytes('/model.gguf') });
  }

  async write(text, most) {
    return this.ask({ kind: 'write', text, most });
  }

  abort() {
    this.#worker.postMessage({ kind: 'abort' });
  }
}

class Theirs {
  #wllama = new Wllama({ default: '/wllama/esm/wasm/wllama.wasm' }, { logger: LoggerWithoutDebug });

  async load() {
    this.#wllama.setCompat(null);
    const blob = new Blob([await bytes('/model.gguf')]);
    await this.#wllama.loadModel([blob], { n_ctx: 2048, n_threads: 1, n_parallel: 1 });
  }

  async write(prompt, max_tokens) {
    const answer = await this.#wllama.createCompletion({
      prompt,
      max_tokens,
      temperature: 0,
      ignore_eos: true,
      cache_prompt: true
    });
    return answer.usage.completion_tokens;
  }
}

const engines = { ours: new Ours(), wllama: new Theirs() };

async function timed(work) {
  const start = performance.now();
  const value = await work();
  return { ms: performance.now() - start, value };
}

const median = values => [...values].sort((a, b) => a - b)[values.length >> 1];
let salt = 0;
/** A text of so many characters that has not been read before: it differs from the first character on. */
const fresh = (text, size) => (String.fromCharCode(97 + (salt++ % 26)) + salt + ' ' + text).slice(0, size);

window.bench = {
  load: name => timed(() => engines[name].load()).then(({ ms }) => ms),

  /** Milliseconds for each of `size` characters that are read at once. */
  async read(name, text, size) {
    const prompt = fresh(text, size);
    const both = await timed(() => engines[name].write(prompt, 1));
    const one = await timed(() => engines[name].write(prompt, 1));
    return (both.ms - one.ms) / (size - 1);
  },

  /** Milliseconds for each character that is written behind `size` others. */
  async written(name, text, size, count = 64) {
    const prompt = fresh(text, size);
    await engines[name].write(prompt, 1);
    const few = await timed(() => engines[name].write(prompt, 1));
    const many = await timed(() => engines[name].write(prompt, count + 1));
    if (many.value - few.value !== count) {
      throw new Error(`${name} wrote ${many.value} characters, not ${count + 1}.`);
    }
    return (many.ms - few.ms) / count;
  },

  /** Milliseconds from each of some keys to 16 characters behind it, with `size` characters before them. */
  async keys(name, text, size, count = 20) {
    const prompt = fresh(text, size + count);
    await engines[name].write(prompt.slice(0, size), 16);
    const times = [];
    for (let key = 1; key <= count; key++) {
      const { ms, value } = await timed(() => engines[name].write(prompt.slice(0, size + key), 16));
      if (value !== 16) {
        throw new Error(`${name} wrote ${value} characters, not 16.`);
      }
      times.push(ms);
    }
    return median(times);
  },

  /** Milliseconds from an abort to an idle worker, while it reads or writes. */
  async aborts(text, count) {
    const times = [];
    for (let at = 0; at < count; at++) {
      const running = engines.ours.write(fresh(text, 1900), 100);
      await new Promise(resolve => setTimeout(resolve, (at * 997) % 1500));
      engines.ours.abort();
      times.push((await timed(() => running)).ms);
    }
    return times;
  },

  /** What is likeliest behind each of the last `count` tokens. */
  follow: (ids, count) => engines.ours.ask({ kind: 'follow', ids, count }),

  logits: ids => engines.ours.ask({ kind: 'logits', ids })
};
